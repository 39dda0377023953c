import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createClient } from '@supabase/supabase-js'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { runCli } from '../../testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../../testing/project/cli-process.js'
import { createPreparedProject } from '../../testing/project/prepared-project.js'
import { until } from '../../time/until.js'
import type { ProjectStatus } from '../operations/status.js'

let dir: string
let remove: () => Promise<void>
let server: CliProcess
let url: string
let status: ProjectStatus
const password = 'correct horse'

const cli = async <T>(...args: readonly string[]) => {
  const { exitCode, stdout } = await runCli([...args, '--json'], { cwd: dir })
  return { exitCode, data: JSON.parse(stdout) as T }
}

interface Keys {
  readonly keys: readonly { readonly kind: string; readonly state: string; readonly value: string | null }[]
}

const start = async () => {
  server = startCli(['start', '--json'], { cwd: dir, env: { PORT: '0' } })
  url = await untilServing(server)
  status = (await cli<ProjectStatus>('status')).data
}
const stop = async () => {
  server.child.kill('SIGTERM')
  await server.ended
}

beforeAll(async () => {
  const folder = await createPreparedProject()
  dir = folder.dir
  remove = folder.remove
  await start()
})
afterAll(async () => {
  await stop()
  await remove()
})

const client = (key = status.keys.anon) =>
  createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport: WebSocket as never },
  })

describe('a server on embedded parts', () => {
  test('supabase-js signs up, in, and out again, on nothing but the URL and the key', async () => {
    const supabase = client()
    const { data, error } = await supabase.auth.signUp({ email: 'ana@example.com', password })
    expect(error).toBeNull()
    expect(data.session).not.toBeNull()
    const signedIn = await supabase.auth.signInWithPassword({ email: 'ana@example.com', password })
    expect(signedIn.data.user?.id).toBe(data.user?.id)
    expect((await supabase.auth.signOut()).error).toBeNull()
    expect((await client(status.keys.service).auth.admin.listUsers()).data.users).toHaveLength(1)
  })

  test('a code to sign in with is read by the command, and nowhere else', async () => {
    const supabase = client()
    expect((await supabase.auth.signInWithOtp({ email: 'ana@example.com' })).error).toBeNull()
    const { data } = await cli<{ codes: readonly { to: string; code: string; kind: string; link: string }[] }>(
      'auth',
      'codes',
      'Ana@Example.com',
    )
    expect(data.codes).toMatchObject([{ to: 'ana@example.com', kind: 'magiclink', code: expect.stringMatching(/^\d{6}$/) }])
    expect(server.stderr + server.stdout).not.toContain(data.codes[0]!.code)
    const verified = await supabase.auth.verifyOtp({ email: 'ana@example.com', token: data.codes[0]!.code, type: 'email' })
    expect(verified.error).toBeNull()
    const { stdout } = await runCli(['auth', 'codes'], { cwd: dir })
    expect(stdout).toContain(data.codes[0]!.link)
  })

  test('the tables are out of reach of every other login, and of the API', async () => {
    for (const role of ['app', 'authenticator', 'feed']) {
      const { data } = await cli<{ url: string }>('db', 'url', '--role', role)
      const session = new pg.Client({ connectionString: data.url })
      await session.connect()
      await expect(session.query('select * from auth.users')).rejects.toThrow('permission denied')
      await session.end()
    }
  })

  test('keys are listed, added and rotated while the server runs', async () => {
    const first = await cli<Keys>('auth', 'keys')
    expect(first.data.keys.map(({ kind, state }) => `${kind} ${state}`).sort()).toEqual([
      'jwt-secret current',
      'publishable current',
      'secret current',
    ])
    expect(first.data.keys.find(({ kind }) => kind === 'secret')?.value).toBe('***')
    const shown = await cli<Keys>('auth', 'keys', 'list', '--show-keys')
    const secret = shown.data.keys.find(({ kind }) => kind === 'secret')!.value!
    expect((await client(secret).auth.admin.listUsers()).error).toBeNull()
    const { data: old } = await client().auth.signInWithPassword({ email: 'ana@example.com', password })

    expect((await cli('auth', 'keys', 'add', 'es256')).exitCode).toBe(0)
    const jwks = async () =>
      ((await (await fetch(`${url}/auth/v1/.well-known/jwks.json`)).json()) as { keys: readonly unknown[] }).keys
    await until(async () => (await jwks()).length === 1)
    const supabase = client()
    const { data } = await supabase.auth.signInWithPassword({ email: 'ana@example.com', password })
    expect((await supabase.auth.getClaims(data.session!.access_token)).data?.header.alg).toBe('ES256')

    expect((await runCli(['auth', 'keys', 'rotate', 'jwt-secret', '--grace', '0'], { cwd: dir })).exitCode).toBe(2)
    expect((await cli('auth', 'keys', 'rotate', 'jwt-secret', '--grace', '1h')).exitCode).toBe(0)
    const anon = (await cli<ProjectStatus>('status')).data.keys.anon
    expect(anon).not.toBe(status.keys.anon)
    await until(async () => (await client(anon).auth.getUser(old.session!.access_token)).error === null)
    expect((await client(status.keys.anon).auth.getUser(old.session!.access_token)).error).toBeNull()

    expect((await cli('auth', 'keys', 'rotate', 'jwt-secret', '--grace', '0', '--yes')).exitCode).toBe(0)
    expect((await cli('auth', 'keys', 'rotate', 'secret', '--grace', '0', '--yes')).exitCode).toBe(0)
    await until(async () => (await client(secret).auth.admin.listUsers()).error !== null)
    expect((await cli('auth', 'keys', 'rotate', 'nonsense')).exitCode).toBe(2)
  })

  test('users and their sessions outlive the server', async () => {
    status = (await cli<ProjectStatus>('status')).data
    const { data } = await client().auth.signInWithPassword({ email: 'ana@example.com', password })
    await stop()
    await start()
    const { data: later, error } = await client().auth.refreshSession(data.session!)
    expect(error).toBeNull()
    expect(later.user?.id).toBe(data.user?.id)
  })

  test('a server that is killed in the middle of many sign-ins leaves no half of a user', async () => {
    const emails = Array.from({ length: 40 }, (_, n) => `killed${n}@example.com`)
    const signUp = (email: string) =>
      fetch(`${url}/auth/v1/signup`, {
        method: 'POST',
        headers: { apikey: status.keys.anon },
        body: JSON.stringify({ email, password }),
      })
    const outcomes = Promise.allSettled(emails.map(signUp))
    const db = new pg.Client({ connectionString: status.database.url })
    await db.connect()
    await until(async () => ((await db.query("select from auth.users where email like 'killed%'")).rowCount ?? 0) > 0)
    server.child.kill('SIGKILL')
    await server.ended
    await outcomes
    await db.end().catch(() => undefined)
    await start()
    const again = new pg.Client({ connectionString: status.database.url })
    await again.connect()
    const { rows } = await again.query(
      `select count(*) filter (where i.id is null)::int as nameless, count(*) filter (where s.id is null)::int as sessionless
         from auth.users u left join auth.identities i on i.user_id = u.id left join auth.sessions s on s.user_id = u.id
        where u.email like 'killed%'`,
    )
    await again.end()
    expect(rows).toEqual([{ nameless: 0, sessionless: 0 }])
    for (const email of emails.slice(0, 3)) {
      const { error } = await client().auth.signUp({ email, password })
      if (error) expect((await client().auth.signInWithPassword({ email, password })).error).toBeNull()
    }
  })
})

test('where a cloud project has the users, /auth/v1 is its own affair', async () => {
  const folder = await createPreparedProject()
  const cloud = startCli(['start', '--json'], {
    cwd: folder.dir,
    env: { PORT: '0', SUPABASE_URL: 'https://project.supabase.co' },
  })
  try {
    const at = await untilServing(cloud)
    expect((await fetch(`${at}/auth/v1/settings`)).status).toBe(404)
    const { exitCode, stdout } = await runCli(['auth', 'keys', '--json'], {
      cwd: folder.dir,
      env: { SUPABASE_URL: 'https://project.supabase.co' },
    })
    expect({ exitCode, code: JSON.parse(stdout).error.code }).toEqual({ exitCode: 2, code: 'TM_AUTH_CLOUD' })
  } finally {
    cloud.child.kill('SIGTERM')
    await cloud.ended
    await folder.remove()
  }
})

test('in production without a way to send, the server says so', async () => {
  const folder = await createPreparedProject()
  await writeFile(join(folder.dir, '.env'), 'ENV=production\nTIDEMARK_AUTH_AUTOCONFIRM=false\n')
  const production = startCli(['dev'], { cwd: folder.dir, env: { PORT: '0' } })
  try {
    await until(() => production.stderr.includes('Nobody can sign up'), { timeoutMs: 60_000 })
  } finally {
    production.child.kill('SIGTERM')
    await production.ended
    await folder.remove()
  }
})

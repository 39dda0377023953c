import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPusherTarget } from '../realtime/relay/pusher-target.js'
import { runCli } from '../testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../testing/project/cli-process.js'
import { createPreparedProject } from '../testing/project/prepared-project.js'
import { until } from '../time/until.js'

const migrations = fileURLToPath(new URL('../../../../apps/re-engine/migrations/', import.meta.url))

/** Writes down what it was given, and when it was asked to end. */
const program = `
  const fs = require('node:fs')
  const names = ['DATABASE_URL', 'OWNER_DATABASE_URL', 'JWT_SECRET', 'SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY', 'PUSHER_URL', 'TIDEMARK_GIVEN_OWNER_DATABASE_URL']
  fs.writeFileSync('given.json.part', JSON.stringify(Object.fromEntries(names.map((name) => [name, process.env[name]]))))
  fs.renameSync('given.json.part', 'given.json')
  process.on('SIGTERM', () => { fs.writeFileSync('ended', ''); process.exit(0) })
  setInterval(() => undefined, 1000)`

let dir: string
let remove: () => Promise<void>
let server: CliProcess
let url: string

beforeAll(async () => {
  ;({ dir, remove } = await createPreparedProject())
  const env = { PORT: '0', OWNER_DATABASE_URL: 'of the caller' }
  server = startCli(['dev', '--json', '--', process.execPath, '-e', program], { cwd: dir, env })
  url = await untilServing(server)
})

afterAll(async () => {
  server?.child.kill('SIGTERM')
  await server?.ended
  await remove?.()
})

const one = async <T>(connectionString: string, sql: string): Promise<T | undefined> => {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query(sql)).rows[0]
  } finally {
    await client.end()
  }
}

describe('applications beside a server', () => {
  it('a command that dev runs finds Postgres, keys and server in its environment', async () => {
    const text = await until(() => readFile(join(dir, 'given.json'), 'utf8').catch(() => undefined), { timeoutMs: 60_000 })
    const given = JSON.parse(text) as Readonly<Record<string, string>>
    expect(given).toMatchObject({ SUPABASE_URL: url, TIDEMARK_GIVEN_OWNER_DATABASE_URL: 'of the caller' })
    expect(given['JWT_SECRET']).not.toBe('of the caller')
    expect(await one(given['DATABASE_URL']!, 'select current_user as me')).toEqual({ me: 'tidemark_app' })
    expect(await one(given['OWNER_DATABASE_URL']!, 'select current_user as me')).toEqual({ me: 'tidemark_migrator' })
    const asked = await fetch(`${url}/rest/v1/`, { headers: { apikey: given['SUPABASE_SERVICE_ROLE_KEY']! } })
    expect(asked.status).toBe(200)
    const pusher = createPusherTarget({ url: given['PUSHER_URL']! })
    await pusher.send([{ channel: 'status', event: 'told', data: {}, id: 'one' }], AbortSignal.timeout(10_000))
  })

  it('a database that is named is made beside the others, prepared, and has migrations of its own', async () => {
    const call = async <T>(...args: string[]): Promise<T> => {
      const { exitCode, stdout, stderr } = await runCli([...args, '--json'], { cwd: dir })
      expect([exitCode, stderr]).toEqual([0, ''])
      return JSON.parse(stdout) as T
    }
    await call('schema', 'up', '--database', 're_engine', '--migrations', migrations)
    const beside = await call<{ url: string }>('db', 'url', '--role', 'app', '--database', 're_engine')
    const own = await call<{ url: string }>('db', 'url', '--role', 'app')
    const sql = `select current_database() as name, to_regclass('public.approvals') is not null as "isThere"`
    expect(await one(beside.url, sql)).toEqual({ name: 're_engine', isThere: true })
    expect(await one(own.url, sql)).toMatchObject({ isThere: false })
    const wrong = await runCli(['db', 'url', '--database', 'No Such'], { cwd: dir })
    expect([wrong.exitCode, wrong.stderr]).toEqual([3, expect.stringContaining('lower-case')])
  })

  it('the command ends before the server does', async () => {
    server.child.kill('SIGTERM')
    expect(await server.ended).toMatchObject({ exitCode: 0 })
    expect(await readFile(join(dir, 'ended'), 'utf8')).toBe('')
  })
})

import { readFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../testing/project/cli-call.js'
import { type CliProcess, createProjectFolder, startCli, untilServing } from '../testing/project/cli-process.js'
import { until } from '../time/until.js'
import type { ProjectStatus } from './operations/status.js'

const makeFile = (path: string, rows: number): void => {
  const db = new Sqlite(path)
  db.exec('create table item (id integer primary key, name text not null, price real)')
  const insert = db.prepare('insert into item (name, price) values (?, ?)')
  db.transaction(() => {
    for (let i = 1; i <= rows; i++) insert.run(`item ${i}`, i / 4)
  })()
  db.close()
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

describe('a server on embedded parts', () => {
  let dir: string
  let remove: () => Promise<void>
  let server: CliProcess
  let url: string
  let status: ProjectStatus & { sample: { schema: string; tables: number; rows: number; verified: boolean } }

  const admin = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${url}/admin/v1${path}`, {
      ...init,
      headers: { authorization: `Bearer ${status.admin.token}`, 'content-type': 'application/json', ...init.headers },
    })
  const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    admin(path, { method: 'POST', body: JSON.stringify(body), headers })

  beforeAll(async () => {
    const folder = await createProjectFolder()
    dir = folder.dir
    remove = folder.remove
    makeFile(join(dir, 'First Shop.db'), 3_000)
    server = startCli(['dev', '--sample', 'First Shop.db', '--json'], { cwd: dir, env: { PORT: '0' } })
    url = await untilServing(server)
    status = JSON.parse(server.stdout)
  })

  afterAll(async () => {
    server.child.kill('SIGTERM')
    await server.ended
    await remove()
  })

  test('the first run moves the sample and verifies it', async () => {
    expect(status.sample).toMatchObject({ schema: 'first_shop', tables: 1, rows: 3_000, verified: true })
    const client = new pg.Client({ connectionString: status.database.url })
    await client.connect()
    const { rows } = await client.query('select count(*)::int as n from first_shop.item')
    await client.end()
    expect(rows).toEqual([{ n: 3000 }])
  })

  test('R111: /health begins with the two documented keys', async () => {
    const response = await fetch(`${url}/health`)
    const text = await response.text()
    expect(response.status).toBe(200)
    expect(text.startsWith('{"status":"ok","database":"connected","redis":')).toBe(true)
    expect(JSON.parse(text)).toMatchObject({ version: expect.any(String), uptimeSeconds: expect.any(Number), phase: 'serving' })
  })

  test('R80, R137: /livez and /readyz answer, and /metrics shows pools, requests, Redis and the event loop', async () => {
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    const text = await (await fetch(`${url}/metrics`)).text()
    for (const name of [
      'tidemark_postgres_acquire_seconds_bucket',
      'tidemark_postgres_connect_seconds_bucket',
      'tidemark_postgres_pool_connections{pool="primary"',
      'tidemark_http_request_duration_seconds_bucket',
      'tidemark_redis_up_state',
      'eventloop_lag_seconds',
    ]) {
      expect(text).toContain(name)
    }
  })

  test('R122: nothing runs as superuser once the server serves', async () => {
    const secrets = JSON.parse(await readFile(join(dir, '.tidemark', 'secrets.json'), 'utf8')) as Record<string, string>
    const superuser = new URL(status.database.url)
    superuser.username = 'postgres'
    superuser.password = secrets['postgres-superuser'] ?? ''
    const client = new pg.Client({ connectionString: superuser.href })
    await client.connect()
    const { rows } = await client.query<{ usename: string; usesuper: boolean }>(
      `select distinct a.usename, u.usesuper from pg_stat_activity a join pg_user u using (usename)
        where a.backend_type = 'client backend' and a.pid <> pg_backend_pid()`,
    )
    await client.end()
    expect(rows.map(({ usename }) => usename).sort()).toEqual([
      'authenticator',
      'tidemark_app',
      'tidemark_feed',
      'tidemark_migrator',
    ])
    expect(rows.filter(({ usesuper }) => usesuper)).toEqual([])
  })

  test('another command finds the server, and its keys are JWTs of the two roles', async () => {
    const { exitCode, stdout } = await runCli(['status', '--json'], { cwd: dir })
    expect(exitCode).toBe(0)
    const found = JSON.parse(stdout) as ProjectStatus
    expect(found.url).toBe(url)
    expect(found.keys).toEqual(status.keys)
    const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as object
    expect(claims(found.keys.anon)).toMatchObject({ role: 'anon', iss: 'tidemark' })
    expect(claims(found.keys.service)).toMatchObject({ role: 'service_role' })
  })

  test('SEC-2: status as text, and what the server logs, hold no secret', async () => {
    const { stdout, stderr } = await runCli(['status', '--verbose'], { cwd: dir })
    const secrets = Object.values(
      JSON.parse(await readFile(join(dir, '.tidemark', 'secrets.json'), 'utf8')) as Record<string, string>,
    )
    const password = new URL(status.database.url).password
    for (const secret of [...secrets.filter((value) => value.length > 15), password, status.keys.service, status.admin.token]) {
      expect(stdout).not.toContain(secret)
      expect(stderr).not.toContain(secret)
      expect(server.stderr).not.toContain(secret)
    }
    const shown = await runCli(['status', '--show-keys'], { cwd: dir })
    expect(shown.stdout).toContain(status.keys.service)
    expect(shown.stdout).toContain(password)
  })

  test('/admin/v1 asks for the token, on known and unknown paths alike', async () => {
    for (const path of ['/status', '/move/plan', '/nothing']) {
      const response = await fetch(`${url}/admin/v1${path}`, { headers: { authorization: 'Bearer wrong' } })
      expect([path, response.status]).toEqual([path, 401])
      expect(await response.json()).toMatchObject({ error: { code: 'TM_SERVER_UNAUTHORIZED' } })
    }
    expect((await admin('/nothing')).status).toBe(404)
  })

  test('the admin status hides secrets unless they are asked for', async () => {
    expect(((await (await admin('/status')).json()) as ProjectStatus).keys.service).toBe('***')
    expect(((await (await admin('/status?showKeys=true')).json()) as ProjectStatus).keys.service).toBe(status.keys.service)
  })

  test('a path that does not exist is a 404 in JSON, without its query', async () => {
    const response = await fetch(`${url}/nowhere?apikey=very-secret-value`)
    expect(response.status).toBe(404)
    expect(await response.json()).toEqual({
      error: {
        code: 'TM_SERVER_NOT_FOUND',
        message: 'There is nothing at GET /nowhere.',
        fix: 'docs/admin.md lists the paths.',
        retryable: false,
      },
    })
    await until(() => server.stderr.includes('/nowhere'))
    expect(server.stderr).not.toContain('very-secret-value')
  })

  test('the schema verbs answer as the command line does', async () => {
    const migrations = (await (await admin('/schema/status')).json()) as {
      migrations: { source: string; state: string }[]
      pending: number
    }
    expect(migrations.pending).toBe(0)
    expect(migrations.migrations.every(({ source, state }) => source === 'tidemark' && state === 'applied')).toBe(true)
    expect(await (await post('/schema/up', { dryRun: true })).json()).toEqual({ applied: [], dryRun: true, findings: [] })
    const { types } = (await (await post('/schema/types', { schemas: ['first_shop'] })).json()) as { types: string }
    expect(types).toContain('item')
    expect((await post('/schema/up', { dryrun: true })).status).toBe(400)
  })

  test('a move over HTTP: plan writes nothing, copy and verify answer with their reports', async () => {
    makeFile(join(dir, 'shop.db'), 500)
    const plan = (await (await post('/move/plan', { file: 'shop.db', schema: 'shop' })).json()) as { totals: { rows: number } }
    expect(plan.totals.rows).toBe(500)
    expect(await (await admin('/move/status?file=shop.db')).json()).toEqual({ moves: [] })
    const copied = await post('/move/copy', { file: 'shop.db', schema: 'shop' })
    expect(copied.status).toBe(200)
    expect(await copied.json()).toMatchObject({ ok: true, tables: [{ table: 'item', copied: 500 }] })
    const again = (await (await post('/move/copy', { file: 'shop.db', schema: 'shop' })).json()) as {
      tables: { copied: number }[]
    }
    expect(again.tables[0]?.copied).toBe(0)
    const verified = await (await post('/move/verify', { file: 'shop.db', schema: 'shop' })).json()
    expect(verified).toMatchObject({ ok: true, tables: [{ table: 'item', rows: 500, equal: 500, missing: 0, extra: 0 }] })
    expect(await (await admin('/move/rejects?file=shop.db')).json()).toEqual({ rejects: [] })
  })

  test('what is no regular file is refused, and a missing one is a 404', async () => {
    expect((await post('/move/plan', { file: '/dev/zero' })).status).toBe(400)
    const missing = await post('/move/plan', { file: 'missing.db' })
    expect(missing.status).toBe(404)
    expect(await missing.json()).toMatchObject({ error: { code: 'TM_SQLITE_NOT_FOUND' } })
  })

  test('a job answers 202, tells its progress by SSE, and replays what a reader missed', async () => {
    const accepted = await post('/move/copy', { file: 'shop.db', schema: 'shop_again' }, { prefer: 'respond-async' })
    expect(accepted.status).toBe(202)
    const { job, url: jobUrl } = (await accepted.json()) as { job: string; url: string }
    expect(accepted.headers.get('location')).toBe(jobUrl)
    const events = await (await admin(`/jobs/${job}/events`)).text()
    expect(events).toContain('event: phase')
    expect(events).toContain('event: table')
    const end = /event: end\ndata: (.*)\n/.exec(events)?.[1] ?? ''
    expect(JSON.parse(end)).toMatchObject({ job, kind: 'move.copy', state: 'succeeded', result: { ok: true } })
    const ids = [...events.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
    const rest = await (await admin(`/jobs/${job}/events`, { headers: { 'last-event-id': String(ids[1]) } })).text()
    expect([...rest.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))).toEqual(ids.slice(2))
    expect(await (await admin(`/jobs/${job}`)).json()).toMatchObject({ state: 'succeeded' })
    expect((await admin('/jobs/none')).status).toBe(404)
  })

  test('DELETE cancels a job, and the move can be gone on with', async () => {
    makeFile(join(dir, 'large.db'), 150_000)
    const { job } = (await (
      await post('/move/copy', { file: 'large.db', schema: 'large' }, { prefer: 'respond-async' })
    ).json()) as { job: string }
    expect((await admin(`/jobs/${job}`, { method: 'DELETE' })).status).toBe(202)
    const view = await until(async () => {
      const found = (await (await admin(`/jobs/${job}`)).json()) as { state: string }
      return found.state === 'running' ? undefined : found
    })
    expect(view).toMatchObject({ state: 'cancelled', error: { code: 'TM_SERVER_JOB_CANCELLED' } })
    expect(await (await post('/move/copy', { file: 'large.db', schema: 'large', onExisting: 'resume' })).json()).toMatchObject({
      ok: true,
    })
    expect(await (await post('/move/verify', { file: 'large.db', schema: 'large' })).json()).toMatchObject({ ok: true })
  })

  test('the doctor finds a running server well', async () => {
    const overHttp = (await (await admin('/doctor', { method: 'POST' })).json()) as { ok: boolean }
    expect(overHttp.ok).toBe(true)
    const { exitCode, stdout } = await runCli(['doctor', '--json'], { cwd: dir })
    expect(JSON.parse(stdout)).toMatchObject({ ok: true })
    expect(exitCode).toBe(0)
  })

  test('a second server of the project takes the next free port and shares the Postgres', async () => {
    const second = startCli(['start', '--json'], { cwd: dir, env: { TIDEMARK_TEST_MARK: '1' } })
    const secondUrl = await untilServing(second)
    expect(secondUrl).not.toBe(url)
    const theirs = JSON.parse(second.stdout) as ProjectStatus
    expect(theirs.database.url).toBe(status.database.url)
    second.child.kill('SIGTERM')
    expect((await second.ended).exitCode).toBe(0)
    expect((await fetch(`${url}/health`)).status).toBe(200)
  })

  test('a port that was asked for and is taken is an error of its own', async () => {
    const { exitCode, stdout } = await runCli(['start', '--json', '--port', new URL(url).port], { cwd: dir })
    expect(exitCode).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'TM_SERVER_PORT_TAKEN' } })
  })
})

/** A request whose body is sent in two halves, so that it is under way for as long as the test wants. */
const slowRequest = async (port: number, token: string): Promise<{ finish(): Promise<string>; socket: Socket }> => {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text
  })
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.write(
    `POST /admin/v1/schema/up HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{"dryRun`,
  )
  return {
    socket,
    finish: async () => {
      socket.write('": true}')
      await new Promise((resolve) => socket.once('close', resolve))
      return answer
    },
  }
}

const untilDeaf = (url: string): Promise<unknown> =>
  until(
    () =>
      fetch(`${url}/health`).then(
        () => false,
        () => true,
      ),
    { what: 'The end of listening' },
  )

describe('the end of a server', () => {
  test('SIGTERM lets a request under way finish; kill -9 leaves nothing that a new start cannot take over', async () => {
    const { dir, remove } = await createProjectFolder()
    const port = await freePort()
    const env = { PORT: String(port), TIDEMARK_REDIS_EMBEDDED: 'false', TIDEMARK_DRAIN_TIMEOUT: '60s' }
    const first = startCli(['dev', '--json'], { cwd: dir, env })
    const url = await untilServing(first)
    const { admin } = JSON.parse(first.stdout) as ProjectStatus
    const request = await slowRequest(port, admin.token)
    await until(async () => (await (await fetch(`${url}/metrics`)).text()).includes('tidemark_http_in_flight_entries 2'))
    first.child.kill('SIGTERM')
    await untilDeaf(url)
    expect(first.child.exitCode).toBe(null)
    const finishedAt = performance.now()
    const answer = await request.finish()
    // Not held up by the drain's time limit: the connection ends with its answer.
    expect(performance.now() - finishedAt).toBeLessThan(30_000)
    expect(answer).toContain('200 OK')
    expect(answer).toContain('{"applied":[],"dryRun":true,"findings":[]}')
    expect((await first.ended).exitCode).toBe(0)
    expect((await runCli(['status', '--json'], { cwd: dir })).exitCode).toBe(4)

    const second = startCli(['start', '--json'], { cwd: dir, env })
    await untilServing(second)
    second.child.kill('SIGKILL')
    await second.ended
    const third = startCli(['start', '--json'], { cwd: dir, env })
    await untilServing(third)
    expect((JSON.parse(third.stdout) as ProjectStatus).redis.state).toBe('absent')
    third.child.kill('SIGINT')
    expect((await third.ended).exitCode).toBe(0)
    await remove()
  })

  test('a second signal ends it at once', async () => {
    const { dir, remove } = await createProjectFolder()
    const port = await freePort()
    // A Redis would stay until the next server of the project takes it over, and there is none.
    const env = { PORT: String(port), TIDEMARK_DRAIN_TIMEOUT: '60s', TIDEMARK_REDIS_EMBEDDED: 'false' }
    const server = startCli(['start', '--json'], { cwd: dir, env })
    const url = await untilServing(server)
    const token = (JSON.parse((await runCli(['status', '--json'], { cwd: dir })).stdout) as ProjectStatus).admin.token
    const request = await slowRequest(port, token)
    await until(async () => (await (await fetch(`${url}/metrics`)).text()).includes('tidemark_http_in_flight_entries 2'))
    server.child.kill('SIGTERM')
    await untilDeaf(url)
    server.child.kill('SIGTERM')
    expect((await server.ended).exitCode).toBe(130)
    request.socket.destroy()
    // The embedded Postgres has lost its holder; a command that comes and goes ends it.
    expect((await runCli(['db', 'url'], { cwd: dir })).exitCode).toBe(0)
    await remove()
  })
})

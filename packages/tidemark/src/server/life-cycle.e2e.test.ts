import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer as createHttpServer, get } from 'node:http'
import { connect, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { resolveConfig } from '../config/config.js'
import { silentLogger } from '../observability/observability.js'
import type { EmbeddedPostgres } from '../postgres/embedded/embedded.js'
import { openState } from '../state/state.js'
import { startBarePostgres } from '../testing/project/prepared-project.js'
import { until } from '../time/until.js'
import { openDatabase } from './database/database.js'
import { findStatus } from './project/find-status.js'
import { announce, findServer } from './project/presence.js'
import { openProject } from './project/project.js'
import { createServer, type TidemarkServer } from './server.js'

let dir: string
let postgres: EmbeddedPostgres

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tidemark-life-'))
  postgres = await startBarePostgres(dir)
})
afterAll(async () => {
  await postgres.stop()
  await rm(dir, { recursive: true, force: true })
})

const asSuperuser = async <T>(fn: (client: pg.Client) => Promise<T>): Promise<T> => {
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  try {
    return await fn(client)
  } finally {
    await client.end()
  }
}

/** A database of its own, as its URL for the superuser. */
const makeDatabase = async (): Promise<string> => {
  const name = `life_${randomBytes(4).toString('hex')}`
  await asSuperuser((client) => client.query(`create database ${name}`))
  const url = new URL(postgres.url)
  url.pathname = `/${name}`
  return url.href
}

/** Stands between the server and Postgres, can be taken away, and can take connections that it never says a word on. */
const createProxy = async (target: URL) => {
  const sockets = new Set<Socket>()
  let [muted, connections] = [0, 0]
  let server: Server
  let port = 0
  const open = (): Promise<void> =>
    new Promise((resolve) => {
      server = createTcpServer((near) => {
        connections++
        if (muted > 0) {
          muted--
          sockets.add(near.on('error', () => undefined))
          return
        }
        const far = connect(Number(target.port), target.hostname)
        for (const socket of [near, far]) sockets.add(socket.on('error', () => undefined))
        near.pipe(far).pipe(near)
      }).listen(port, '127.0.0.1', () => {
        port = (server.address() as { port: number }).port
        resolve()
      })
    })
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
      sockets.clear()
    })
  await open()
  const url = new URL(target)
  url.port = String(port)
  const mute = (next: number): void => {
    muted = next
  }
  return { url: url.href, open, close, mute, isMute: () => muted > 0, connections: () => connections }
}

const serverOn = (url: string, folder: string, env: Record<string, string> = {}): TidemarkServer =>
  createServer({
    cwd: dir,
    log: silentLogger,
    config: resolveConfig({
      cwd: dir,
      env: { DATABASE_URL: url, PORT: '0', TIDEMARK_STATE_DIR: folder, TIDEMARK_REDIS_EMBEDDED: 'false', ...env },
    }),
  })

/** It answers, and may be far from ready. */
const listens = (server: TidemarkServer): Promise<true> =>
  until(async () => {
    const url = (() => {
      try {
        return server.url
      } catch {
        return undefined
      }
    })()
    return url !== undefined && (await fetch(`${url}/livez`)).status === 200
  })

describe('a server over a Postgres that is given', () => {
  test('SEC-1, R80: says what it serves past row-level security, and shows what its program measures', async () => {
    const url = await makeDatabase()
    const first = serverOn(url, 'open')
    await first.start()
    const open = (notices: readonly string[]) => notices.filter((notice) => notice.includes('row-level security'))
    expect(open(first.notices)).toEqual([])
    first.metrics().gauge('tidemark_mail_waiting_entries', 'Mails that wait to be sent.', ['queue']).set(700, { queue: 'outbox' })
    const text = await (await fetch(`${first.url}/metrics`)).text()
    expect(text).toContain('tidemark_mail_waiting_entries{queue="outbox"} 700')
    expect(text).toContain('tidemark_realtime_lag_seconds_count 0')
    await first.stop()
    expect(() => serverOn(url, 'open').metrics()).toThrow(expect.objectContaining({ code: 'TM_SERVER_STARTING' }))
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query('create table note (id int); grant select on note to anon')
    await client.end()
    const second = serverOn(url, 'open')
    await second.start()
    expect(open(second.notices)).toEqual([
      'Open to callers past row-level security: public.note. `tidemark schema check` says why, and how to close it.',
    ])
    await second.stop()
    const accepting = serverOn(url, 'open', { TIDEMARK_SCHEMA_ACCEPTED: 'note' })
    await accepting.start()
    expect(open(accepting.notices)).toEqual([])
    await accepting.stop()
  })

  test('R111: /health turns to 503 within bounded time when the database is away, and back', async () => {
    const proxy = await createProxy(new URL(await makeDatabase()))
    const server = serverOn(proxy.url, 'away')
    await server.start()
    const ask = async (path: string) => {
      const response = await fetch(`${server.url}${path}`)
      return { status: response.status, text: await response.text() }
    }
    expect((await ask('/health')).text).toMatch(/^\{"status":"ok","database":"connected","redis":"absent"/)
    await proxy.close()
    const down = await until(async () => {
      const started = performance.now()
      const answer = await ask('/health')
      expect(performance.now() - started).toBeLessThan(15_000)
      return answer.status === 503 ? answer : undefined
    })
    expect(down.text).toMatch(/^\{"status":"error","database":"disconnected"/)
    expect((await ask('/readyz')).status).toBe(503)
    expect((await ask('/livez')).status).toBe(200)
    expect(await server.status()).toMatchObject({ database: { state: 'disconnected' } })
    await proxy.open()
    await until(async () => (await ask('/health')).status === 200, { timeoutMs: 20_000 })
    expect((await ask('/readyz')).status).toBe(200)
    await server.stop()
    await proxy.close()
    await expect(fetch(`${server.url}/livez`)).rejects.toThrow()
  })

  test('R122: requests run as tidemark_app or as their caller, and the server that was given is named in its status', async () => {
    const url = await makeDatabase()
    const server = serverOn(url, 'roles')
    await server.start()
    const { database, redis } = await server.status()
    expect(database).toMatchObject({ url, embedded: false, version: expect.stringMatching(/^\d+\.\d+$/) })
    expect(redis).toMatchObject({ state: 'absent', driver: 'none' })
    expect(server.notices.join('\n')).toContain('Redis: none')
    const users = await asSuperuser(async (client) => {
      const { rows } = await client.query<{ usename: string }>(
        'select distinct usename from pg_stat_activity where datname = $1',
        [new URL(url).pathname.slice(1)],
      )
      return rows.map(({ usename }) => usename).sort()
    })
    expect(users).toEqual(['authenticator', 'tidemark_app', 'tidemark_feed', 'tidemark_migrator'])
    await server.stop()
  })

  test('two nodes with folders of their own share one database', async () => {
    const url = await makeDatabase()
    const nodes = [serverOn(url, 'node-1'), serverOn(url, 'node-2')]
    await Promise.all(nodes.map((node) => node.start()))
    for (const node of nodes) expect((await fetch(`${node.url}/health`)).status).toBe(200)
    await Promise.all(nodes.map((node) => node.stop()))
  })

  test('a secondary that is away keeps nobody from serving', async () => {
    const server = serverOn(await makeDatabase(), 'secondary', { SECONDARY_DATABASE_URL: 'postgres://x:y@127.0.0.1:9/z' })
    await server.start()
    const body = (await (await fetch(`${server.url}/health`)).json()) as object
    expect(body).toMatchObject({
      status: 'ok',
      database: 'connected',
      components: { secondary: { status: 'down', critical: false } },
    })
    await server.stop()
  })

  test('a start waits for a Postgres that is not there yet, or is too busy to answer in time', async () => {
    const proxy = await createProxy(new URL(await makeDatabase()))
    const timeouts = {
      TIDEMARK_POSTGRES_PRIMARY_CONNECT_TIMEOUT_MS: '100',
      TIDEMARK_POSTGRES_ANALYTICS_CONNECT_TIMEOUT_MS: '100',
      TIDEMARK_POSTGRES_MIGRATION_CONNECT_TIMEOUT_MS: '1000',
    }
    await proxy.close()
    const server = serverOn(proxy.url, 'waits', timeouts)
    const started = server.start()
    await listens(server)
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503)
    await proxy.open()
    await started
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
    await server.stop()
    // The sessions that prepare the database are three; those that are never answered are of the pools.
    const before = proxy.connections()
    const busy = serverOn(proxy.url, 'waits', timeouts)
    const starting = busy.start()
    await until(() => proxy.connections() >= before + 3, { intervalMs: 1 })
    proxy.mute(6)
    await starting
    expect(proxy.isMute()).toBe(false)
    expect((await fetch(`${busy.url}/readyz`)).status).toBe(200)
    await busy.stop()
    await proxy.close()
  })

  test('a stop ends the wait for a Postgres that does not come', async () => {
    const server = serverOn('postgres://me@127.0.0.1:9/db', 'gives-up')
    const starting = server.start()
    const outcome = expect(starting).rejects.toMatchObject({ code: 'TM_POSTGRES_UNREACHABLE' })
    await listens(server)
    await server.stop()
    await outcome
  })

  test('a start that fails raises why, and leaves nothing behind', async () => {
    const server = serverOn('postgres://me:hunter2@127.0.0.1:9/db', 'fails', { TIDEMARK_START_TIMEOUT: '0' })
    await expect(server.start()).rejects.toMatchObject({ code: 'TM_POSTGRES_UNREACHABLE', exitCode: 4 })
    expect(() => server.url).toThrow(expect.objectContaining({ code: 'TM_SERVER_STARTING' }))
    const taken = serverOn(await makeDatabase(), 'fails', { PORT: new URL(postgres.url).port })
    await expect(taken.start()).rejects.toMatchObject({ code: 'TM_SERVER_PORT_TAKEN' })
    const wrongRole = serverOn('postgres://me@127.0.0.1:9/db', 'fails', { TIDEMARK_ROLES: 'wizard' })
    await expect(wrongRole.start()).rejects.toMatchObject({ code: 'TM_CONFIG_BAD_VALUE' })
  })

  test('a stop in the middle of the start leaves nothing behind either', async () => {
    const url = await makeDatabase()
    const server = serverOn(url, 'hasty')
    const starting = server.start()
    const outcome = expect(starting).rejects.toMatchObject({ code: 'TM_SERVER_STOPPING' })
    await server.stop()
    await outcome
    const { rows } = await asSuperuser((client) =>
      client.query('select pid from pg_stat_activity where datname = $1', [new URL(url).pathname.slice(1)]),
    )
    expect(rows).toEqual([])
  })

  test('a server that leaves answers everything while /readyz says that it goes, and ends then', async () => {
    const server = serverOn(await makeDatabase(), 'leave', { TIDEMARK_LEAVE: '2s' })
    await server.start()
    /** On a connection of its own, as of a balancer that has not noticed yet. */
    const statusOf = (path: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        get(`${server.url}${path}`, { agent: false }, (answer) => {
          answer.resume()
          resolve(answer.statusCode)
        }).on('error', reject)
      })
    expect([await statusOf('/readyz'), await statusOf('/nowhere')]).toEqual([200, 404])
    const stopped = server.stop()
    // Nothing comes after that but to refuse what is new.
    const state = await openState(join(dir, 'leave'))
    await until(async () => (await findServer(state)) === undefined, { intervalMs: 1 })
    expect([await statusOf('/readyz'), await statusOf('/nowhere')]).toEqual([503, 404])
    await stopped
    await expect(statusOf('/livez')).rejects.toThrow('ECONNREFUSED')
  })

  test('a server that stops does not wait for ever for a request that takes long', async () => {
    const server = serverOn(await makeDatabase(), 'drain', { TIDEMARK_DRAIN_TIMEOUT: '200ms' })
    await server.start()
    const { admin } = await server.status()
    const headers = { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json' }
    const lock = new pg.Client({ connectionString: server.project().config.postgres.url })
    await lock.connect()
    // A request that waits for this lock takes longer than the drain.
    await lock.query('begin; lock table tidemark.migrations in access exclusive mode')
    const waiting = fetch(`${admin.url}/schema/status`, { headers })
    waiting.catch(() => undefined)
    await until(async () => (await (await fetch(`${server.url}/metrics`)).text()).includes('tidemark_http_in_flight_entries 2'))
    await server.stop()
    await expect(waiting).rejects.toThrow()
    await lock.query('rollback')
    await lock.end()
  })
})

describe('opening the database', () => {
  const open = (url: string, folder: string) =>
    openState(join(dir, folder)).then((state) =>
      openDatabase({ state, log: silentLogger, cwd: dir, config: resolveConfig({ cwd: dir, env: { DATABASE_URL: url } }) }),
    )

  test('a password that was changed outside is answered by giving the roles theirs anew', async () => {
    const url = new URL(await makeDatabase())
    const owner = `owner_${randomBytes(4).toString('hex')}`
    await asSuperuser((client) =>
      client.query(
        `create role ${owner} login createrole createdb password 'one'; alter database ${url.pathname.slice(1)} owner to ${owner}`,
      ),
    )
    // Roles that another role made cannot be managed by this one: a server of its own begins without them.
    await asSuperuser((client) =>
      client.query(`grant tidemark_migrator, tidemark_app, tidemark_feed, authenticator to ${owner} with admin option`),
    )
    url.username = owner
    url.password = 'one'
    const first = await open(url.href, 'rotated')
    expect(new URL(first.urls.migrator).username).toBe('tidemark_migrator')
    await first.stop()
    await asSuperuser((client) => client.query(`alter role ${owner} password 'two'`))
    url.password = 'two'
    const second = await open(url.href, 'rotated')
    expect(second.urls.migrator).not.toBe(first.urls.migrator)
    expect(await second.migrator.status()).toEqual(
      expect.arrayContaining([expect.objectContaining({ source: 'tidemark', state: 'applied' })]),
    )
    await second.stop()
  })

  test('a database that is not there, or a wrong password, is an error that says so', async () => {
    const url = new URL(postgres.url)
    url.pathname = '/nowhere'
    await expect(open(url.href, 'errors')).rejects.toMatchObject({ code: 'TM_POSTGRES_NO_DATABASE' })
    url.password = 'wrong'
    await expect(open(url.href, 'errors')).rejects.toMatchObject({ code: 'TM_POSTGRES_AUTHENTICATION', exitCode: 4 })
  })
})

describe('what another command finds', () => {
  const projectIn = (folder: string) =>
    openProject({
      log: silentLogger,
      cwd: dir,
      config: resolveConfig({ cwd: dir, env: { TIDEMARK_STATE_DIR: folder, TIDEMARK_REDIS_EMBEDDED: 'false' } }),
    })

  test('nothing, where nothing runs; the embedded Postgres, where only that does', async () => {
    const project = await projectIn('embedded')
    await expect(findStatus(project)).rejects.toMatchObject({ code: 'TM_SERVER_NOT_RUNNING', exitCode: 4 })
    const status = await project.withDatabase(undefined, () => findStatus(project))
    expect(status).toMatchObject({
      url: null,
      server: null,
      database: { state: 'connected', embedded: true, url: expect.stringContaining('tidemark_migrator') },
      redis: { state: 'absent' },
      keys: { anon: expect.stringMatching(/^eyJ/), service: expect.stringMatching(/^eyJ/) },
    })
    await expect(findStatus(project)).rejects.toMatchObject({ code: 'TM_SERVER_NOT_RUNNING' })
  })

  test('a server that does not answer, or refuses, is told from one that is not there', async () => {
    const project = await projectIn('mute')
    await announce(project.state, 'http://127.0.0.1:9', 1)
    await expect(findStatus(project)).rejects.toMatchObject({ code: 'TM_SERVER_REFUSED' })
    const refusing = createHttpServer((_request, response) => {
      response.statusCode = 503
      response.end(
        JSON.stringify({ error: { code: 'TM_SERVER_STARTING', message: 'The server is still starting.', fix: 'Wait.' } }),
      )
    })
    await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve))
    await announce(project.state, `http://127.0.0.1:${(refusing.address() as { port: number }).port}`, 1)
    await expect(findStatus(project)).rejects.toMatchObject({ message: expect.stringContaining('still starting'), fix: 'Wait.' })
    refusing.closeAllConnections()
    await new Promise((resolve) => refusing.close(resolve))
  })
})

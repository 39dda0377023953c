// The drill of docs/backups.md, as it is written there: a server that is killed, and its data brought back to a moment.
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CacheEntry } from '../cache/cache.js'
import { cached } from '../cache/cached.js'
import { resolveConfig } from '../config/config.js'
import type { Follower } from '../feed/feed.js'
import { silentLogger } from '../observability/observability.js'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../postgres/embedded/embedded.js'
import { findPostmaster } from '../postgres/embedded/postmaster.js'
import { createServer, type TidemarkServer } from '../server/server.js'
import { isAlive, openState } from '../state/state.js'
import { runCli } from '../testing/project/cli-call.js'
import { createPreparedProject } from '../testing/project/prepared-project.js'
import { startTestRedis } from '../testing/redis/redis-server.js'
import { until } from '../time/until.js'

const archive = 'archive'
let dir: string
let postgres: EmbeddedPostgres
let node: TidemarkServer
const stops: (() => Promise<unknown>)[] = []
const epochs: string[] = []
const resets: string[] = []

/** Nothing here survives a power cut, and everything the death of processes. */
const startPostgres = async (): Promise<void> => {
  postgres = await startEmbeddedPostgres({
    state: await openState(join(dir, '.tidemark')),
    disposable: true,
    restart: false,
    archiveDir: join(dir, archive),
    settings: { synchronous_commit: 'on' },
  })
}

const kill = async (): Promise<void> => {
  const { identity } = (await findPostmaster(postgres.dataDir))!
  process.kill(identity.pid, 'SIGKILL')
  await until(async () => !(await isAlive(identity)), { timeoutMs: 60_000 })
  await postgres.stop()
}

const query = async <R extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<readonly R[]> => {
  const client = new pg.Client({ connectionString: postgres.url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<R>(sql, [...values])).rows
  } finally {
    await client.end().catch(() => undefined)
  }
}

const cli = async (...args: readonly string[]) => {
  const { exitCode, stdout } = await runCli([...args, '--json'], { cwd: dir, env: { TIDEMARK_POSTGRES_ARCHIVE_DIR: archive } })
  return { exitCode, data: JSON.parse(stdout) }
}

const things = async (): Promise<readonly number[]> =>
  (await query<{ id: number }>('select id from things order by id')).map(({ id }) => id)

/** A moment that lies after everything that was committed, and before everything that will be. */
const now = async (): Promise<string> => {
  const [row] = await query<{ moment: Date }>(`select date_trunc('milliseconds', clock_timestamp()) + interval '1 ms' as moment`)
  await until(async () => (await query<{ is: boolean }>('select clock_timestamp() > $1 as is', [row!.moment]))[0]!.is)
  return row!.moment.toISOString()
}

const follower: Follower = {
  name: 'drill',
  tables: 'all',
  apply: async ({ position }) => {
    if (epochs.at(-1) !== position.epoch) epochs.push(position.epoch)
  },
  reset: async ({ reason }) => {
    resets.push(reason)
  },
}

const thing = () => node.cache()!.entries['thing'] as unknown as CacheEntry<{ readonly id: number }, number | null>

beforeAll(async () => {
  const project = await createPreparedProject()
  dir = project.dir
  stops.unshift(() => project.remove())
  await startPostgres()
  stops.unshift(() => postgres.stop())
  await query('set role tidemark_migrator; create table things (id int primary key, n int not null)')
  const redis = await startTestRedis()
  stops.unshift(() => redis.stop())
  node = createServer({
    cwd: dir,
    log: silentLogger,
    followers: [follower],
    config: resolveConfig({
      cwd: dir,
      file: {
        caches: {
          thing: cached('thing:{id}', {
            ttl: '5m',
            from: { things: 'id' },
            load: async ({ id }, db) =>
              (await db.query<{ n: number }>('select n from things where id = $1', [id])).rows[0]?.n ?? null,
          }),
        },
      },
      env: { DATABASE_URL: postgres.url, REDIS_URL: redis.url, PORT: '0', TIDEMARK_STATE_DIR: 'node' },
    }),
  })
  stops.unshift(() => node.stop())
  await node.start()
})

afterAll(async () => {
  for (const stop of stops) await stop()
})

test('R76 FEED-4: a restore to a moment has all that was committed before it and nothing after, and followers and caches start anew', async () => {
  await query('insert into things values (1, 1)')
  expect(await cli('db', 'backup', 'backups')).toMatchObject({ exitCode: 0, data: { backup: { timeline: 1 }, removed: [] } })
  await query('insert into things select n, 1 from generate_series(2, 500) as n')
  const moment = await now()
  await query('update things set n = 2; insert into things values (1000, 2)')
  await until(async () => (await thing().get({ id: 1 })) === 2, { timeoutMs: 60_000 })
  await until(async () => (await thing().lookup({ id: 1 })).source === 'memory', { timeoutMs: 60_000 })
  await until(() => epochs.length === 1, { timeoutMs: 60_000 })
  expect((await cli('db', 'restore', 'backups', '--yes')).data.error.code).toBe('TM_POSTGRES_IN_USE')
  resets.length = 0

  await kill()
  const tooLate = new Date(Date.now() + 3_600_000).toISOString()
  const refused = await cli('db', 'restore', 'backups', '--to-time', tooLate, '--yes')
  expect(refused.data.error).toMatchObject({
    code: 'TM_POSTGRES_RESTORE_FAILED',
    message: expect.stringContaining('ends before'),
  })
  const restored = await cli('db', 'restore', 'backups', '--to-time', moment, '--yes')
  expect(restored).toMatchObject({ exitCode: 0, data: { replaced: expect.stringContaining('data.replaced-') } })
  expect(restored.data.timeline).toBeGreaterThan(1)
  expect(Date.parse(restored.data.lastCommitAt)).toBeLessThanOrEqual(Date.parse(moment))

  await startPostgres()
  expect(await things()).toEqual(Array.from({ length: 500 }, (_, i) => i + 1))
  expect(await query('select distinct n from things')).toEqual([{ n: 1 }])
  // The node was there all the time, and so was its Redis, in which the value of after that moment still stands.
  await until(
    async () =>
      (await thing()
        .get({ id: 1 })
        .catch(() => undefined)) === 1,
    { timeoutMs: 60_000 },
  )
  // What is written before the feed has a slot again is in no feed: it is told to start anew instead.
  const told = async (): Promise<boolean> => {
    await query('update things set n = n + 1 where id = 1')
    return epochs.length === 2
  }
  await until(told, { timeoutMs: 60_000, intervalMs: 200 })
  const [row] = await query<{ n: number }>('select n from things where id = 1')
  await until(async () => (await thing().get({ id: 1 })) === row!.n, { timeoutMs: 60_000 })
  expect(epochs[0]).not.toBe(epochs[1])
  expect(resets.length).toBeGreaterThan(0)
})

test('R76: without a moment all comes back that was committed, also what the killed server had not archived', async () => {
  await query('insert into things values (2000, 4)')
  await kill()
  const { data } = await cli('db', 'restore', 'backups', '--yes')
  expect(data).toMatchObject({ backup: expect.any(String), replaced: expect.any(String) })
  // As whoever restores and dies with all but the last rename done leaves it: the next start does the rest.
  await rename(postgres.dataDir, join(postgres.dataDir, '../data.restored'))
  await startPostgres()
  expect((await things()).slice(-2)).toEqual([500, 2000])
})

test('R76: a backup of which a byte has changed is refused, and the data stays; older ones go when they are not to be kept', async () => {
  const before = await cli('db', 'backup', 'backups')
  const { path, name } = before.data.backup
  const file = join(path, 'data', 'PG_VERSION')
  const content = await readFile(file)
  await writeFile(file, 'x')
  await postgres.stop()
  expect((await cli('db', 'restore', 'backups', '--yes')).data.error.code).toBe('TM_POSTGRES_BACKUP_DAMAGED')
  await writeFile(file, content)
  const early = await cli('db', 'restore', 'backups', '--to-time', '2001-01-01T00:00:00Z', '--yes')
  expect([early.exitCode, early.data.error.code]).toEqual([2, 'TM_POSTGRES_BACKUP_MISSING'])
  await startPostgres()
  expect((await things()).at(-1)).toBe(2000)

  const kept = await cli('db', 'backup', 'backups', '--keep', '1')
  expect(kept.data.removed).toEqual(expect.arrayContaining([name]))
  expect(kept.data.prunedSegments).toBeGreaterThan(0)
  expect(await readdir(join(dir, 'backups'))).toEqual([kept.data.backup.name])
})

// The doctor in an environment that is wrong in many ways at once: real servers with the settings that people leave as they found them.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../postgres/embedded/embedded.js'
import { runCli } from '../../../testing/project/cli-call.js'
import { startBarePostgres } from '../../../testing/project/prepared-project.js'
import { startTestRedis, type TestRedis } from '../../../testing/redis/redis-server.js'
import type { Examination } from './doctor.js'

let dir: string
let postgres: EmbeddedPostgres
let redis: TestRedis

const examine = async (env: Record<string, string>) => {
  const { exitCode, stdout } = await runCli(['doctor', '--json'], { cwd: dir, env: { TIDEMARK_STATE_DIR: 'node', ...env } })
  return { exitCode, ...(JSON.parse(stdout) as Examination) }
}

/** What is wrong, by the name of the check. */
const wrongOf = ({ findings }: Examination): Readonly<Record<string, string>> =>
  Object.fromEntries(findings.filter(({ verdict }) => verdict !== 'ok').map(({ check, message }) => [check, message]))

const run = async (sql: string): Promise<void> => {
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  await client.query(sql).finally(() => client.end())
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tidemark-doctor-'))
  ;[postgres, redis] = await Promise.all([
    startBarePostgres(dir, { settings: { max_slot_wal_keep_size: '-1', max_connections: '30', max_replication_slots: '2' } }),
    startTestRedis({ args: ['--maxmemory', '3mb', '--maxmemory-policy', 'allkeys-lru'] }),
  ])
})

afterAll(async () => {
  await redis.stop()
  await postgres.stop()
  await rm(dir, { recursive: true, force: true })
})

test('R120: the doctor names each setting that is wrong, with what to do, and goes on', async () => {
  await run('create table unkeyed (n int); create publication everything for table unkeyed')
  await run("select pg_create_logical_replication_slot('somebodys', 'pgoutput')")
  const found = await examine({ DATABASE_URL: postgres.url, REDIS_URL: redis.url })
  expect(wrongOf(found)).toMatchObject({
    'postgres slots': expect.stringContaining('unlimited'),
    'postgres connections': expect.stringContaining('of 30 connections'),
    'postgres roles': expect.stringContaining('not prepared'),
    'feed slots': expect.stringContaining('1 of 2 slots'),
    'replica identity': expect.stringContaining('public.unkeyed'),
    'redis eviction': expect.stringContaining('allkeys-lru'),
    'redis durability': 'appendonly is off',
  })
  for (const { verdict, fix } of found.findings) expect(fix === null).toBe(verdict === 'ok')
  // Warnings do not fail: Tidemark works with all of it, worse.
  expect([found.exitCode, found.ok]).toEqual([0, true])
})

test('R120: a pooler without a way past it, and servers that do not answer, are told by the exit status too', async () => {
  const pooled = new URL(postgres.url)
  pooled.port = '6543'
  const found = await examine({ DATABASE_URL: pooled.href, REDIS_URL: 'redis://127.0.0.1:1' })
  expect(wrongOf(found)).toMatchObject({
    'postgres pooler': expect.stringContaining('transaction pooler'),
    redis: expect.stringContaining('does not answer'),
  })
  expect([found.exitCode, found.unreachable]).toEqual([4, true])
  expect(JSON.stringify(found)).not.toContain(postgres.superuserPassword)
  // With a way that leads nowhere, what is known of the pooler is told all the same.
  const direct = new URL(postgres.url)
  direct.port = '1'
  const lost = await examine({ DATABASE_URL: pooled.href, DIRECT_URL: direct.href, REDIS_URL: redis.url })
  const verdicts = Object.fromEntries(lost.findings.map(({ check, verdict }) => [check, verdict]))
  expect([verdicts['postgres pooler'], verdicts['postgres'], lost.exitCode]).toEqual(['ok', 'fail', 4])
})

test('R120: a Postgres whose log tells too little is named, with how to change that', async () => {
  const folder = await mkdtemp(join(dir, 'log-'))
  const quiet = await startBarePostgres(folder, { settings: { wal_level: 'replica' } })
  try {
    const { findings, ok } = await examine({ DATABASE_URL: quiet.url, TIDEMARK_REDIS_EMBEDDED: 'false' })
    expect(findings.find(({ check }) => check === 'postgres wal_level')).toMatchObject({
      verdict: 'warn',
      message: 'replica',
      fix: expect.stringContaining('wal_level = logical'),
    })
    expect(ok).toBe(true)
  } finally {
    await quiet.stop()
  }
})

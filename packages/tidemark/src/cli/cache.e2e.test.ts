import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findRedisServer } from '../redis/embedded/find-server.js'
import type { EvictReport, KeyReport, StatsReport } from '../server/operations/cache.js'
import { runCli } from '../testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../testing/project/cli-process.js'
import { createPreparedProject } from '../testing/project/prepared-project.js'
import { until } from '../time/until.js'

const hasRedis = (await findRedisServer()) !== undefined

const config = (table: string) => `
  import { cached, defineConfig } from 'tidemark'
  export default defineConfig({
    cache: { prefix: 'test:', encryptionKeys: { k1: '${'ab'.repeat(32)}' }, sampleEveryMs: '50ms', maxBytes: '4MiB' },
    caches: {
      thing: cached('thing:{id}', {
        ttl: '5m',
        from: { ${table}: 'id' },
        load: async ({ id }, db) => (await db.query('select id, n from things where id = $1', [id])).rows[0] ?? null,
        tags: ({ id }) => ['n:' + id],
        warm: () => true,
        warmOnStart: async () => [{ id: 1 }, { id: 2 }],
      }),
      secret: cached('secret:{id}', {
        ttl: '5m',
        encrypted: true,
        load: async ({ id }) => ({ hidden: id }),
        warmOnStart: async () => [{ id: 'x' }],
      }),
    },
  })`

let dir: string
let remove: () => Promise<void>
let server: CliProcess

const json = async <T>(args: readonly string[], env: Record<string, string> = {}) => {
  const { exitCode, stdout, stderr } = await runCli([...args, '--json'], { cwd: dir, env })
  return { exitCode, stderr, data: JSON.parse(stdout) as T & { readonly error?: { readonly code: string } } }
}
const sql = async (text: string): Promise<void> => {
  const { exitCode, stderr } = await runCli(['db', 'psql', '--json', '-c', text], { cwd: dir })
  if (exitCode !== 0) throw new Error(stderr)
}
const get = async (key: string) => (await json<KeyReport>(['cache', 'get', key])).data
const stats = async () => (await json<StatsReport>(['cache', 'stats'])).data
const slow = { timeoutMs: 60_000, intervalMs: 200 }

beforeAll(async () => {
  const folder = await createPreparedProject()
  dir = folder.dir
  remove = folder.remove
  await sql('create table things (id int primary key, n int not null); insert into things values (1, 1), (2, 2)')
  await writeFile(join(dir, 'tidemark.config.ts'), config('things'))
  server = startCli(['start', '--json'], { cwd: dir, env: { PORT: '0' } })
  await untilServing(server)
})

afterAll(async () => {
  server.child.kill('SIGTERM')
  await server.ended
  await remove()
})

describe('caches of a project', () => {
  test('are told of in one line when the server starts, and in its status', async () => {
    expect(server.stderr).toContain('caching thing (thing:{id}), secret (secret:{id})')
    const { stdout } = await runCli(['status'], { cwd: dir })
    expect(stdout).toContain('thing (thing:{id}), secret (secret:{id})')
  })

  test('stats shows every entry of every node', async () => {
    const { scope, nodes } = await until(async () => {
      const report = await stats()
      return report.nodes[0]?.entries['thing']?.keys === 2 ? report : undefined
    }, slow)
    expect(scope).toBe(hasRedis ? 'all nodes' : 'this server only')
    expect(nodes).toHaveLength(1)
    expect(nodes[0]).toMatchObject({
      freshnessMs: expect.any(Number),
      entries: { thing: { maxBytes: 16 * 2 ** 20, staleFound: 0 } },
    })
    const text = await runCli(['cache', 'stats'], { cwd: dir })
    expect(text.stdout).toMatch(/^thing +\S+:\d+ /m)
    if (!hasRedis) expect(text.stdout).toContain('This server only')
  })

  test.skipIf(!hasRedis)('get shows what Redis holds, and opens what is encrypted', async () => {
    const found = await until(async () => {
      const report = await get('thing:1')
      return report.held ? report : undefined
    }, slow)
    expect(found).toMatchObject({
      key: 'test:thing:1',
      entry: 'thing',
      redis: 'up',
      held: { value: { id: 1, n: 1 }, tags: ['n:1'], encrypted: false, isCurrent: true, problem: null },
      memory: { bytes: expect.any(Number) },
    })
    expect(found.held!.freshForMs).toBeGreaterThan(200_000)
    const secret = await until(async () => {
      const report = await get('test:secret:x')
      return report.held ? report : undefined
    }, slow)
    expect(secret).toMatchObject({ entry: 'secret', held: { value: { hidden: 'x' }, encrypted: true } })
    const text = await runCli(['cache', 'get', 'thing:1'], { cwd: dir })
    expect(text.stdout).toMatch(/In Redis: .*not encrypted/)
    expect(text.stdout).toContain('"n": 1')
    expect(await get('thing:99')).toMatchObject({ entry: 'thing', held: null, memory: null })
  })

  test.skipIf(!hasRedis)('hear of psql, and load again what is looked at', async () => {
    await sql('update things set n = 11 where id = 1')
    const found = await until(async () => {
      const { held } = await get('thing:1')
      return held && (held.value as { n: number }).n === 11 ? held : undefined
    }, slow)
    expect(found.ageMs).toBeLessThan(60_000)
  })

  test('evict says what it would take with --dry-run, and takes it without', async () => {
    const before = (await stats()).nodes[0]!.entries['secret']!
    const dry = await json<EvictReport>(['cache', 'evict', '--entry', 'secret', '--dry-run'])
    expect(dry.data).toMatchObject({
      kind: 'entry',
      name: 'secret',
      dryRun: true,
      entries: ['secret'],
      nodes: hasRedis ? 1 : null,
    })
    expect((await stats()).nodes[0]!.entries['secret']!.clears).toBe(before.clears)
    expect((await json<EvictReport>(['cache', 'evict', '--entry', 'secret'])).data).toMatchObject({ dryRun: false })
    await until(async () => (await stats()).nodes[0]!.entries['secret']!.clears === before.clears + 1, slow)
    expect((await json<EvictReport>(['cache', 'evict', '--table', 'things', '--dry-run'])).data).toMatchObject({
      name: 'public.things',
      entries: ['thing'],
    })
    expect((await json<EvictReport>(['cache', 'evict', '--tag', 'n:1', '--dry-run'])).data.entries).toEqual(['thing'])
    const evicted = await runCli(['cache', 'evict', 'thing:2'], { cwd: dir })
    expect(evicted.stdout).toContain('evicted test:thing:2 (thing')
  })

  test('a wrong line, and a wrong request', async () => {
    for (const args of [[], ['thing:1', '--all'], ['--tag', 'a', '--entry', 'b']]) {
      const { exitCode, data } = await json(['cache', 'evict', ...args])
      expect([exitCode, data.error?.code]).toEqual([2, 'TM_CLI_USAGE'])
    }
    const { admin } = (await json<{ admin: { url: string; token: string } }>(['status'])).data
    const headers = { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json' }
    const ask = (path: string, body?: unknown) =>
      fetch(`${admin.url}${path}`, { headers, ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }) })
    expect((await ask('/cache/key')).status).toBe(400)
    expect((await ask('/cache/evict', { key: 'a', all: true })).status).toBe(400)
    expect((await ask('/cache/evict', { keys: 'a' })).status).toBe(400)
    expect((await fetch(`${admin.url}/cache`)).status).toBe(401)
    const metrics = await (await fetch(new URL('/metrics', admin.url))).text()
    expect(metrics).toContain('tidemark_cache_stale_total{entry="thing"} 0')
  })

  test('without a server an eviction is written all the same; a table that is not there ends a start', async () => {
    server.child.kill('SIGTERM')
    expect((await server.ended).exitCode).toBe(0)
    const { exitCode, data } = await json<EvictReport>(['cache', 'evict', '--all'])
    expect([exitCode, data.kind, data.entries]).toEqual([0, 'all', ['thing', 'secret']])
    expect((await json<StatsReport>(['cache', 'stats'])).data.nodes).toEqual([])
    await writeFile(join(dir, 'tidemark.config.ts'), config('absent'))
    const failed = await startCli(['start', '--json'], { cwd: dir, env: { PORT: '0' } }).ended
    expect([failed.exitCode, JSON.parse(failed.stdout).error.code]).toEqual([3, 'TM_CACHE_RULE'])
  })
})

import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findRedisServer } from '../packages/tidemark/dist/redis/embedded/find-server.js'
import { root } from '../scripts/repository.ts'

const run = promisify(execFile)

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const program = await findRedisServer()

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-test-'))
  // A Postgres of the root user runs under another account, which has to get there.
  await chmod(folder, 0o755)
})

afterAll(async () => {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** Whether a target is met decides the exit code, which here and now says nothing. */
const bench = (script: string, ...args: string[]): Promise<Outcome> =>
  run(join(root, 'node_modules/.bin/jiti'), [join(root, 'bench', script), ...args], {
    cwd: root,
    env: { ...process.env, TMPDIR: folder },
  }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Outcome) => error,
  )

const closing = ({ stdout }: Outcome): readonly string[] => stdout.trimEnd().split('\n\n').at(-1)!.split('\n')

const isLong = process.env['TIDEMARK_TEST_LONG'] !== undefined

describe('the benchmarks', () => {
  it('bench:move copies, compares what was made, and ends in its figures', async () => {
    const outcome = await bench('move.ts', '--rows', '2000', '--rounds', '1', '--verify', '--without', 'pgloader')
    expect(outcome.stderr).toBe('')
    const lines = closing(outcome)
    expect(lines.at(-1)).toMatch(/^move-peak-rss-mib \d/)
    expect(lines).toContainEqual(expect.stringMatching(/^move-verify ratio to move-copy \d+\.\d\d$/))
    expect([0, 1]).toContain(outcome.code)
    // All but the generated file is gone.
    expect((await readdir(folder)).filter((name) => name.startsWith('tidemark-') && !/\.db(-\w+)?$/.test(name))).toEqual([])
  })

  // Servers start in many tests: with TIDEMARK_TEST_LONG=1.
  it.skipIf(!isLong)('bench:start starts a server twice and ends in its figures', async () => {
    const outcome = await bench('start.ts', '--rounds', '1')
    expect(outcome.stderr).toBe('')
    expect(closing(outcome)).toEqual([
      expect.stringMatching(/^start-cold ratio to bare-node \d/),
      expect.stringMatching(/^start-warm ratio to bare-node \d/),
      expect.stringMatching(/^start-cold-seconds \d/),
      expect.stringMatching(/^start-warm-seconds \d/),
    ])
    expect([0, 1]).toContain(outcome.code)
  })

  it.runIf(isLong)('bench:engine reads and writes, tells of changes, and ends in its figures', async () => {
    const outcome = await bench('engine.ts', '--seconds', '2', '--leads', '50')
    expect(outcome.stderr).toBe('')
    expect(closing(outcome)).toHaveLength(8)
    expect(closing(outcome).at(-1)).toBe('engine-stale-reads 0.00')
    expect([0, 1]).toContain(outcome.code)
  })

  it.runIf(isLong)('bench:yarn talks alone and with others, and ends in its figures', async () => {
    const outcome = await bench('yarn.ts', '--rounds', '1', '--sessions', '3', '--yarns', '1')
    expect(outcome.stderr).toBe('')
    expect(closing(outcome)[0]).toMatch(/^yarn-answer-p95 ratio to one-at-a-time \d/)
    expect(closing(outcome)).toHaveLength(6)
    expect([0, 1]).toContain(outcome.code)
  })

  it.runIf(isLong && program !== undefined)(
    'bench:webhooks takes webhooks over both logs of Redis, and ends in its figures',
    async () => {
      const outcome = await bench('webhooks.ts', '--rounds', '1', '--ms', '100')
      expect(outcome.stderr).toBe('')
      expect(closing(outcome)).toHaveLength(6)
      expect(closing(outcome)).toContainEqual(
        expect.stringMatching(/^webhooks-redis-always ratio to fastify-hmac-xadd-always \d+\.\d\d$/),
      )
      expect([0, 1]).toContain(outcome.code)
    },
  )

  it.runIf(isLong)('bench:capture writes with and without it, compares the files, and ends in its figures', async () => {
    const outcome = await bench('capture.ts', '--rows', '500', '--writes', '200', '--rounds', '1')
    expect(outcome.stderr).toBe('')
    expect(closing(outcome)).toEqual([
      expect.stringMatching(/^capture-cpu-in-transactions ratio to no-capture \d/),
      expect.stringMatching(/^capture-cpu-unique-in-transactions ratio to no-capture \d/),
      expect.stringMatching(/^capture-cpu-upsert ratio to no-capture \d/),
      expect.stringMatching(/^capture-cpu-replace ratio to no-capture \d/),
      expect.stringMatching(/^capture-cpu ratio to no-capture \d/),
      expect.stringMatching(/^capture-cpu-unique ratio to no-capture \d/),
    ])
    expect([0, 1]).toContain(outcome.code)
  })

  // Half a minute or more, as that of bench:cache: with TIDEMARK_TEST_LONG=1.
  it.runIf(isLong)(
    'bench:move-live goes there and back under a writer, finds both sides equal, and ends in its figures',
    async () => {
      const small = ['--rows', '1000', '--backlog', '500', '--rate', '100', '--seconds', '1', '--rounds', '1']
      const outcome = await bench('move-live.ts', ...small)
      expect(outcome.stderr).toBe('')
      expect(outcome.stdout).toContain('Both sides are equal, and hold every accepted write once.')
      expect(closing(outcome)).toEqual([
        expect.stringMatching(/^move-catch-up ratio to batched-upserts \d/),
        expect.stringMatching(/^move-catch-up-us-per-change \d/),
        expect.stringMatching(/^move-lag-p50-ms \d/),
        expect.stringMatching(/^move-lag-p99-ms \d/),
        expect.stringMatching(/^move-cutover-pause-ms \d/),
        expect.stringMatching(/^move-rollback-pause-ms \d/),
      ])
      expect([0, 1]).toContain(outcome.code)
    },
    180_000,
  )

  it.runIf(isLong)(
    'bench:feed follows through one follower and, where there is a Redis, through a second node',
    async () => {
      const small = ['--rows', '2000', '--rounds', '1', '--rate', '200', '--seconds', '1', '--large', '2000']
      const outcome = await bench('feed.ts', ...small)
      expect(outcome.stderr).toBe('')
      const lines = closing(outcome)
      expect(lines).toContainEqual(expect.stringMatching(/^feed-time ratio to decoding-alone \d/))
      if (program === undefined) expect(outcome.stdout).toContain('the fan-out is left out')
      else expect(lines[0]).toMatch(/^feed-fan-out-time ratio to one-follower \d/)
      expect([0, 1]).toContain(outcome.code)
    },
    180_000,
  )

  it.runIf(isLong)(
    'bench:rest asks all sides the same, and ends in its figures',
    async () => {
      const outcome = await bench('rest.ts', '--rounds', '1', '--ms', '50', '--only', 'key,insert')
      expect(outcome.stderr).toBe('')
      const lines = closing(outcome)
      for (const name of ['key', 'insert'])
        for (const baseline of ['bare-transaction', 'bare-batch', 'bare-statement'])
          expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^rest-${name}-32 ratio to ${baseline} \\d`)))
      expect([0, 1]).toContain(outcome.code)
    },
    180_000,
  )

  it.runIf(isLong)(
    'bench:realtime tells every client everything once in each part, and ends in its figures',
    async () => {
      const sizes = [
        '--rounds',
        '1',
        '--sockets',
        '40',
        '--messages',
        '10',
        '--changes',
        '60',
        '--idle',
        '100',
        '--filters',
        '500',
      ]
      const outcome = await bench('realtime.ts', ...sizes)
      expect(outcome.stderr).toBe('')
      const lines = closing(outcome)
      expect(lines[0]).toMatch(/^realtime-fan-out ratio to ws \d/)
      for (const name of ['commit-p99-ms', 'owners-changes-a-second', 'members-batch-p99-ms', 'filters-us-per-change'])
        expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^realtime-${name} \\d`)))
      expect(lines.at(-1)).toMatch(/^realtime-idle-kib-a-connection -?\d/)
      expect([0, 1]).toContain(outcome.code)
      expect((await readdir(folder)).filter((name) => /realtime|postgres/.test(name))).toEqual([])
    },
    180_000,
  )

  it.runIf(isLong && program !== undefined)(
    'bench:cache measures every part once and ends in its figures',
    async () => {
      const sizes = ['--rounds', '1', '--ms', '20', '--keys', '40', '--samples', '4', '--operations', '5000']
      const outcome = await bench('cache.ts', ...sizes)
      expect(outcome.stderr).toBe('')
      const lines = closing(outcome)
      for (const name of [
        'l1-hit ratio to bentocache',
        'l2-hit-64 ratio to raw-ioredis',
        'miss-64 ratio to raw-pg',
        'zipf-points-over-lru',
      ])
        expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^cache-${name} -?\\d`)))
      // Speed says nothing here; these hold at any.
      for (const line of [
        'stampede-queries-one-node 1.00',
        'stampede-queries-four-nodes 1.00',
        'redis-down-errors 0.00',
        'external-stuck 0.00',
      ])
        expect(lines).toContain(`cache-${line}`)
      expect(lines).toContain('cache-external-stale-with-token 0.00')
      expect(lines.at(-1)).toMatch(/^cache-write-linearizable-4-more-ms-p99 /)
      expect((await readdir(folder)).filter((name) => /redis|postgres/.test(name))).toEqual([])
    },
    120_000,
  )

  it('say what is wrong with an option, and end with 2', async () => {
    expect(await bench('move.ts', '--rows', 'many')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--rows is "many"'),
    })
    expect(await bench('move.ts', '--fast')).toMatchObject({ code: 2, stderr: expect.stringContaining('--rounds <n>') })
    expect(await bench('move.ts', '--without', 'ours')).toMatchObject({ code: 2 })
    expect(await bench('cache.ts', '--only', 'l1,l3')).toMatchObject({ code: 2, stderr: expect.stringContaining('"l3"') })
  })
})

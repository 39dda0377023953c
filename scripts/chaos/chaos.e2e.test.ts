// Each long command once, as small as it goes. What they attack has tests of its own, so most run with TIDEMARK_TEST_LONG=1 only.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { findRedisServer } from '../../packages/tidemark/dist/redis/embedded/find-server.js'

const hasRedis = (await findRedisServer()) !== undefined
const isLong = process.env['TIDEMARK_TEST_LONG'] !== undefined

interface Smoke {
  readonly script: string
  readonly holds: string
  readonly options: string
  /** How the last line begins. */
  readonly passed: RegExp
  /** What else is told. */
  readonly told?: RegExp
  readonly withoutRedis?: boolean
  readonly isShort?: boolean
}

const smokes: readonly Smoke[] = [
  {
    script: 'rest.ts',
    holds: 'R121 SEC-1: random requests yield one statement without their words, and no row that their role may not see',
    options: '--requests 500 --through 0.4 --seed 11',
    passed: /^PASSED: 500 requests/,
    told: /200 × \d{2}/,
    withoutRedis: true,
    isShort: true,
  },
  {
    script: 'cache.ts',
    holds: 'CACHE-1 CACHE-5 CACHE-6: nothing stale through a Redis with an old past and the death of a writer',
    options: '--minutes 0 --seconds 2 --nodes 2 --seed 7 --faults redis-old,writer-killed',
    passed: /^PASSED: \d+ reads/,
  },
  {
    script: 'webhooks.ts',
    holds: 'F18: workers that are replaced under load lose nothing and do nothing twice',
    options: '--scenarios rolling --events 300 --seed 3',
    passed: /^PASSED: rolling/,
  },
  {
    script: 'webhooks.ts',
    holds:
      'F1 F2 F3 F4 F6 F12 F13 F17 F22: nothing is lost and nothing done twice while workers, Redis and Postgres are taken away',
    options: '--scenarios kill-one,kill-all,lose-redis,lose-postgres,poison,order,soak --events 300 --seconds 4 --seed 5',
    passed: /^PASSED: kill-one/,
  },
  {
    script: 'alerts.ts',
    holds: 'ALERT-1: nothing is lost and nothing invented while nodes are killed and channels fail',
    options: '--seconds 6 --outages 0 --seed 3',
    passed: /^PASSED: \d+ signals/,
    withoutRedis: true,
  },
  {
    script: 'live.ts',
    holds: 'MOVE-2: one journey there and back survives kills, a reader that is cut off and a clock that moves',
    options: '--minutes 0 --seed 11 --rounds 2 --faults kill,walsender,clock',
    passed: /^PASSED: \d+ kills/,
    told: /^(?:walsender|clock): [1-9]/m,
    withoutRedis: true,
  },
  {
    script: 'realtime.ts',
    holds: 'RT-2: clients cut off in mid-frame, a server that is killed and a log that is cut lose nothing without a word',
    options:
      '--reconnects 20 --faults 3 --clients 2 --nodes 2 --rate 200 --minutes 4 --seed 5 --only server-killed,walsender,redis-flushed',
    passed: /^PASSED: \d+ changes/,
  },
]

const run = async (script: string, options: string): Promise<readonly [code: number, told: string]> => {
  const args = ['node_modules/.bin/jiti', fileURLToPath(new URL(script, import.meta.url)), ...options.split(' ')]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let told = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    told += text
  })
  const [code] = await once(child, 'close')
  return [code, told]
}

for (const { script, holds, options, passed, told: more = /^/, withoutRedis = false, isShort = false } of smokes) {
  test.runIf((isLong || isShort) && (hasRedis || withoutRedis))(holds, { timeout: 400_000 }, async () => {
    const [code, told] = await run(script, options)
    expect([code, told.trim().split('\n').at(-1)], told).toEqual([0, expect.stringMatching(passed)])
    expect(told).toMatch(more)
  })
}

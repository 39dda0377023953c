import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { findRedisServer } from '../../packages/tidemark/dist/redis/embedded/find-server.js'

const script = fileURLToPath(new URL('realtime.ts', import.meta.url))
const program = await findRedisServer()

/** It takes most of a minute, and the parts of realtime have tests of their own: with TIDEMARK_TEST_LONG=1. */
const isLong = process.env['TIDEMARK_TEST_LONG'] !== undefined

test.runIf(isLong && program !== undefined)(
  'RT-2: clients that are cut off in mid-frame, a server that is killed and a log that is cut lose nothing without a word',
  { timeout: 400_000 },
  async () => {
    const sizes = [
      '--reconnects',
      '20',
      '--faults',
      '3',
      '--clients',
      '2',
      '--nodes',
      '2',
      '--rate',
      '200',
      '--minutes',
      '4',
      '--seed',
      '5',
    ]
    const args = [...sizes, '--only', 'server-killed,walsender,redis-flushed']
    const child = spawn(process.execPath, ['node_modules/.bin/jiti', script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    let told = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      told += text
    })
    const [code] = await once(child, 'close')
    expect([code, told.trim().split('\n').at(-1)], told).toEqual([0, expect.stringMatching(/^PASSED: \d+ changes/)])
  },
)

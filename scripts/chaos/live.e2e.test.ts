import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('live.ts', import.meta.url))
const options = ['--minutes', '0', '--seed', '11', '--rounds', '2', '--faults', 'kill,walsender,clock']

/** It takes most of a minute, and the rooms of the move have tests of their own: with TIDEMARK_TEST_LONG=1. */
const isLong = process.env['TIDEMARK_TEST_LONG'] !== undefined

test.runIf(isLong)(
  'MOVE-2: one journey there and back survives kills, a reader that is cut off and a clock that moves',
  {
    timeout: 400_000,
  },
  async () => {
    const child = spawn(process.execPath, ['node_modules/.bin/jiti', script, ...options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let told = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      told += text
    })
    const [code] = await once(child, 'close')
    expect([code, told.trim().split('\n').at(-1)], told).toEqual([0, expect.stringMatching(/^PASSED: \d+ kills/)])
    expect(told).toMatch(/^(?:walsender|clock): [1-9]/m)
  },
)

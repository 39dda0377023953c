import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('alerts.ts', import.meta.url))

/** Alerts have tests of their own over kills and outages: with TIDEMARK_TEST_LONG=1. */
const isLong = process.env['TIDEMARK_TEST_LONG'] !== undefined

test.skipIf(!isLong)(
  'ALERT-1: nothing is lost and nothing invented while nodes are killed and channels fail',
  { timeout: 200_000 },
  async () => {
    const args = ['--seconds', '6', '--outages', '0', '--seed', '3']
    const child = spawn(process.execPath, ['node_modules/.bin/jiti', script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    let told = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      told += text
    })
    const [code] = await once(child, 'close')
    expect([code, told.trim().split('\n').at(-1)], told).toEqual([0, expect.stringMatching(/^PASSED: \d+ signals/)])
  },
)

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('live.ts', import.meta.url))

test('MOVE-2: one journey there and back survives the kills', { timeout: 400_000 }, async () => {
  const child = spawn(process.execPath, ['node_modules/.bin/jiti', script, '--minutes', '0', '--kills', '1', '--seed', '11'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let told = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    told += text
  })
  const [code] = await once(child, 'close')
  expect([code, told.trim().split('\n').at(-1)]).toEqual([0, expect.stringMatching(/^PASSED: \d+ kills/)])
})

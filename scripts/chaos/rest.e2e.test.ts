import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('rest.ts', import.meta.url))

test('R121 SEC-1: random requests yield one statement without their words, and no row that their role may not see', {
  timeout: 200_000,
}, async () => {
  const args = ['--requests', '3000', '--through', '0.4', '--seed', '11']
  const child = spawn(process.execPath, ['node_modules/.bin/jiti', script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let told = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    told += text
  })
  const [code] = await once(child, 'close')
  expect([code, told.trim().split('\n').at(-1)], told).toEqual([0, expect.stringMatching(/^PASSED: 3000 requests/)])
  expect(told).toMatch(/200 × \d{3}/)
})

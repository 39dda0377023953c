import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('cache.ts', import.meta.url))

test('CACHE-1 CACHE-5 CACHE-6: nothing stale through a Redis with an old past and the death of a writer', {
  timeout: 400_000,
}, async () => {
  const args = ['--minutes', '0', '--seconds', '2', '--nodes', '2', '--seed', '7', '--faults', 'redis-old,writer-killed']
  const child = spawn(process.execPath, ['node_modules/.bin/jiti', script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let told = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    told += text
  })
  const [code] = await once(child, 'close')
  expect([code, told.trim().split('\n').at(-1)], told).toEqual([0, expect.stringMatching(/^PASSED: \d+ reads/)])
})

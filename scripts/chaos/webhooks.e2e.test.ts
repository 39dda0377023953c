import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { findRedisServer } from '../../packages/tidemark/dist/redis/embedded/find-server.js'

const script = fileURLToPath(new URL('webhooks.ts', import.meta.url))
const program = await findRedisServer()

test.skipIf(program === undefined)(
  'F18: workers that are replaced under load lose nothing and do nothing twice',
  {
    timeout: 200_000,
  },
  async () => {
    const args = ['--scenarios', 'rolling', '--events', '300', '--seed', '3']
    const child = spawn(process.execPath, ['node_modules/.bin/jiti', script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    let told = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      told += text
    })
    const [code] = await once(child, 'close')
    expect([code, told.trim().split('\n').at(-1)], told).toEqual([0, expect.stringMatching(/^PASSED: rolling/)])
  },
)

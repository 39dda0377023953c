import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { acquirePort } from '../state/state.js'
import { startTestRedis, type TestRedis } from '../testing/redis/redis-server.js'
import { sharedRedisUrl } from '../testing/redis/redis-setup.js'
import { createRedis } from './create-redis.js'

const run = promisify(execFile)
const canMakeCertificates = spawnSync('openssl', ['version']).status === 0

describe.skipIf(sharedRedisUrl() === undefined || !canMakeCertificates)('R125: rediss://', () => {
  let dir: string
  let server: TestRedis
  let url: string
  let cert: string

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tidemark-tls-'))
    cert = join(dir, 'cert.pem')
    const key = join(dir, 'key.pem')
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    const form = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    await run('openssl', [...form, ...subject, '-keyout', key, '-out', cert])
    const tlsPort = await acquirePort()
    const tls = ['--tls-port', String(tlsPort), '--tls-cert-file', cert, '--tls-key-file', key, '--tls-auth-clients', 'no']
    server = await startTestRedis({ password: 'right', args: tls })
    url = `rediss://:right@127.0.0.1:${tlsPort}`
  })
  afterAll(async () => {
    await server.stop()
    await rm(dir, { recursive: true, force: true })
  })

  it('does not talk to a server whose certificate nobody vouches for', async () => {
    const redis = await createRedis({ url })
    expect(redis.state).toBe('down')
    await expect(redis.ping()).rejects.toMatchObject({
      code: 'TM_REDIS_UNREACHABLE',
      message: expect.stringMatching(/certificate/),
    })
    await redis.stop()
  })

  it('talks to one that the system trusts', async () => {
    const code = `
      import { createJiti } from 'jiti'
      const { createRedis } = await createJiti(${JSON.stringify(import.meta.url)}).import('./create-redis.ts')
      const redis = await createRedis({ url: ${JSON.stringify(url)} })
      console.log(redis.target.slice(0, 9), await redis.command(['SET', 'k', 'v']))
      await redis.stop()`
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: cert }
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], { env })
    expect(stdout.trim()).toBe('rediss:// OK')
  })
})

import { mkdir, writeFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { resolveConfig } from '../../config/config.js'
import { createMetrics } from '../../observability/metrics.js'
import { silentLogger } from '../../observability/observability.js'
import { useFolder } from '../../testing/use-folder.js'
import { createHttp } from '../http/http.js'
import { readDashboard } from './dashboard-files.js'
import { addDashboard } from './dashboard-routes.js'

const folder = useFolder('dashboard')

const build = async (): Promise<string> => {
  await mkdir(`${folder}/assets`, { recursive: true })
  await writeFile(`${folder}/index.html`, '<html><head><meta name="csp-nonce" content="%CSP_NONCE%"></head></html>')
  await writeFile(`${folder}/screens.json`, '{"overview":[],"move":["assets/move-1.js"]}')
  await writeFile(`${folder}/assets/index-1.js`, 'console.log(1);'.repeat(200))
  await writeFile(`${folder}/icon.svg`, '<svg/>')
  await writeFile(`${folder}/.sources`, 'x')
  return folder
}

const serve = async (env: Record<string, string>, path: string | undefined) => {
  const app = await createHttp({ log: silentLogger, metrics: createMetrics() })
  await addDashboard(app, resolveConfig({ env, cwd: folder }), path)
  const get = (url: string, headers: Record<string, string> = {}) =>
    app.inject({ url, headers: { host: '127.0.0.1:8080', ...headers } })
  return { get }
}

describe('the dashboard at /', () => {
  test('SEC: a page for each screen, under a policy that lets nothing in but its own files', async () => {
    const { get } = await serve({}, await build())
    const pages = [await get('/'), await get('/move')]
    for (const { statusCode, headers, body } of pages) {
      expect(statusCode).toBe(200)
      const nonce = /content="([^"]+)"/.exec(body)?.[1]
      expect(headers['content-security-policy']).toContain(
        `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce}'`,
      )
      expect(headers['cache-control']).toBe('no-store')
    }
    expect(pages[0]!.body).not.toContain('modulepreload')
    expect(pages[1]!.body).toContain('<link rel="modulepreload" crossorigin href="/assets/move-1.js">')
    expect(new Set(pages.map(({ body }) => /content="([^"]+)"/.exec(body)?.[1])).size).toBe(2)
    expect((await get('/nowhere')).statusCode).toBe(404)
    expect((await get('/.sources')).statusCode).toBe(404)
  })

  test('files are kept for good by their name, zipped where that is taken, and not sent twice', async () => {
    const { get } = await serve({}, await build())
    const plain = await get('/assets/index-1.js')
    expect(plain.headers['cache-control']).toBe('public, max-age=31536000, immutable')
    const zipped = await get('/assets/index-1.js', { 'accept-encoding': 'br, gzip' })
    expect(zipped.headers['content-encoding']).toBe('gzip')
    expect(gunzipSync(zipped.rawPayload).toString()).toBe(plain.body)
    expect((await get('/assets/index-1.js', { 'if-none-match': String(plain.headers['etag']) })).statusCode).toBe(304)
    expect((await get('/icon.svg')).headers['cache-control']).toBe('no-cache')
  })

  test('unasked it is there in development, for this machine alone; in production only where it was asked for', async () => {
    const path = await build()
    const foreign = { host: 'evil.example' }
    const codes = async (env: Record<string, string>) => {
      const { get } = await serve(env, path)
      return [
        (await get('/')).statusCode,
        (await get('/', foreign)).statusCode,
        (await get('/assets/index-1.js', foreign)).statusCode,
      ]
    }
    expect(await codes({})).toEqual([200, 404, 404])
    expect(await codes({ ENV: 'production' })).toEqual([404, 404, 404])
    expect(await codes({ ENV: 'production', TIDEMARK_DASHBOARD: 'true' })).toEqual([200, 200, 200])
    expect(await codes({ TIDEMARK_DASHBOARD: 'false' })).toEqual([404, 404, 404])
  })

  test('where it was not built the page says how', async () => {
    expect(await readDashboard(`${folder}/none`)).toBeUndefined()
    const { get } = await serve({}, `${folder}/none`)
    const answer = await get('/')
    expect(answer.statusCode).toBe(503)
    expect(answer.body).toContain('npm run build')
  })
})

import { afterEach, describe, expect, test, vi } from 'vitest'
import { curlOf } from '../format/curl.ts'
import { ago, bytes, compact, counted, duration, mark, percent, shellWord } from '../format/format.ts'
import { ask, keepCsrf, requestOf } from './ask.ts'

afterEach(() => {
  vi.unstubAllGlobals()
  keepCsrf(undefined)
})

describe('asking', () => {
  test('a question becomes a request: names in the path, the rest in the query, nothing that was not given', () => {
    expect(requestOf('DELETE /feed/slots/:name', { params: { name: 'a/b' } })).toEqual({
      method: 'DELETE',
      path: '/admin/v1/feed/slots/a%2Fb',
      body: undefined,
    })
    expect(requestOf('GET /alerts', { query: { status: 'open' } }).path).toBe('/admin/v1/alerts?status=open')
    expect(requestOf('GET /overview', {}).path).toBe('/admin/v1/overview')
  })

  test('a proof of another session is taken anew, once', async () => {
    const sent: (readonly [string, string | undefined])[] = []
    keepCsrf('old')
    vi.stubGlobal('fetch', async (path: string, { headers }: { readonly headers: Readonly<Record<string, string>> }) => {
      sent.push([path, headers['x-tidemark-csrf']])
      if (path.endsWith('/session')) return Response.json({ csrf: 'new' })
      if (headers['x-tidemark-csrf'] === 'new') return Response.json({ dryRun: true })
      return Response.json({ error: { code: 'TM_SERVER_CSRF', message: 'no' } }, { status: 403 })
    })
    expect(await ask('POST /cache/evict', { body: { all: true } })).toEqual({ dryRun: true })
    expect(sent).toEqual([
      ['/admin/v1/cache/evict', 'old'],
      ['/admin/v1/session', undefined],
      ['/admin/v1/cache/evict', 'new'],
    ])
  })

  test('no answer, and an answer that is no JSON, are errors with words', async () => {
    vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('failed')))
    await expect(ask('GET /overview', {})).rejects.toMatchObject({ status: 0, code: 'TM_DASHBOARD_OFFLINE' })
    vi.stubGlobal('fetch', async () => new Response('<html>', { status: 502 }))
    await expect(ask('GET /overview', {})).rejects.toMatchObject({ status: 502, code: 'HTTP_502' })
    const controller = new AbortController()
    controller.abort(new Error('gone'))
    vi.stubGlobal('fetch', async () => Promise.reject(controller.signal.reason))
    await expect(ask('GET /overview', {}, { signal: controller.signal })).rejects.toThrow('gone')
  })
})

describe('numbers and words for people', () => {
  test('sizes, spans, shares and counts', () => {
    expect([0, 900, 1_536, 5 * 1024 ** 3].map(bytes)).toEqual(['0 B', '900 B', '1.5 KiB', '5.0 GiB'])
    expect([0, 850, 4_200, 45_000, 200_000, 7_500_000, 273_600_000].map(duration)).toEqual([
      '0 ms',
      '850 ms',
      '4.2 s',
      '45 s',
      '3 min 20 s',
      '2 h 5 min',
      '3 d 4 h',
    ])
    expect([null, undefined, 0, 0.934, 1].map(percent)).toEqual(['–', '–', '0 %', '93.4 %', '100 %'])
    expect([999, 12_345, 2_000_000].map(compact)).toEqual(['999', '12.3K', '2M'])
    expect([0, 0.25, 2.5, 250].map(mark)).toEqual(['0', '0.25', '2.5', '250'])
    expect([counted(1, 'row'), counted(1_200, 'row')]).toEqual(['1 row', '1,200 rows'])
    expect([ago(0, 500), ago(0, 65_000), ago(3_600_000, 0), ago('1970-01-01T00:00:00Z', 5_000)]).toEqual([
      'just now',
      '1 min ago',
      'in 1 h',
      '5.0 s ago',
    ])
  })

  test('what is copied for a shell is one word each, and holds no token', () => {
    expect(shellWord(`it's`)).toBe(`'it'\\''s'`)
    const request = { method: 'POST', path: '/admin/v1/cache/evict', body: { key: `a'; rm -rf /` } }
    expect(curlOf(request, 'http://h')).toBe(
      `curl -X POST -H "Authorization: Bearer $TIDEMARK_ADMIN_TOKEN" -H 'Content-Type: application/json' -d '{"key":"a'\\''; rm -rf /"}' http://h/admin/v1/cache/evict`,
    )
  })
})

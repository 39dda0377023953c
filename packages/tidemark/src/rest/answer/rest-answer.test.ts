import { describe, expect, it } from 'vitest'
import type { SqlFunction, Table } from '../catalogue.js'
import type { RestRequest } from '../query.js'
import { parseRequest, type RestHttpRequest } from '../request/request.js'
import { restErrors } from '../rest-errors.js'
import type { RestAnswer, RestResult } from './answer.js'
import { checkResult } from './check-result.js'
import { errorAnswer } from './error-answer.js'
import { functionOptions, relationOptions, rootOptions } from './options-answer.js'
import { restAnswer, rootAnswer } from './rest-answer.js'

const settings = { schemas: ['public'], transactionOverride: true, plans: true, root: true, maxBodyBytes: 1_000 }

const sent = (method: string, url: string, headers: RestHttpRequest['headers'] = {}, schemas = settings.schemas) => {
  const [path = '', query = ''] = url.split('?')
  const body = /^P/.test(method) ? Buffer.from('{"id":1}') : undefined
  return parseRequest({ method, path, query, headers, body }, { ...settings, schemas })
}

type Answered = Exclude<RestRequest, { kind: 'root' | 'options' }>

const answered = (request: RestRequest): request is Answered => request.kind !== 'root' && request.kind !== 'options'

const resultOf = (request: Answered, more: Partial<RestResult>): RestResult => ({
  media: request.accept[0] ?? { kind: 'json', nullsStripped: false },
  body: '[…]',
  rows: 2,
  total: undefined,
  inserted: undefined,
  location: undefined,
  nothing: false,
  responseHeaders: undefined,
  responseStatus: undefined,
  preferences: request.preferences,
  ...more,
})

const answer = (request: RestRequest, more: Partial<RestResult> = {}): RestAnswer => {
  if (!answered(request)) throw new Error('is not run')
  return restAnswer(request, resultOf(request, more))
}

const json = 'application/json; charset=utf-8'

describe('the answer to a read', () => {
  it.each<[string, number, number | undefined, number, string]>([
    ['/t', 2, undefined, 200, '0-1/*'],
    ['/t', 0, undefined, 200, '*/*'],
    ['/t', 0, 0, 200, '*/0'],
    ['/t', 2, 2, 200, '0-1/2'],
    ['/t', 2, 15, 206, '0-1/15'],
    ['/t?offset=3&limit=2', 2, 15, 206, '3-4/15'],
    ['/t?offset=3', 2, undefined, 200, '3-4/*'],
    ['/t?offset=15', 0, 15, 206, '*/15'],
    ['/t?limit=0', 0, undefined, 200, '*/*'],
    ['/rpc/f?limit=2', 2, 15, 206, '0-1/15'],
  ])('%s with %i of %s rows is %i, %s', (url, rows, total, status, range) => {
    expect(answer(sent('GET', url), { rows, total })).toMatchObject({
      status,
      headers: { 'content-range': range, 'content-type': json },
      body: '[…]',
    })
  })

  it.each(['/t?offset=16', '/rpc/f?offset=16'])('%s behind the last row is 416', (url) => {
    const { status, headers, body } = answer(sent('GET', url), { rows: 0, total: 15, body: '[]' })
    expect(status).toBe(416)
    expect(headers).toMatchObject({
      'content-range': '*/15',
      'content-type': json,
      'proxy-status': 'PostgREST; error=PGRST103',
    })
    expect(JSON.parse(String(body))).toEqual({
      code: 'PGRST103',
      details: 'An offset of 16 was requested, but there are only 15 rows.',
      hint: null,
      message: 'Requested range not satisfiable',
    })
  })

  it('by HEAD has the headers alone', () => {
    const { body, ...rest } = answer(sent('HEAD', '/t'))
    expect(body).toBeUndefined()
    expect(rest).toMatchObject({ status: 200, headers: { 'content-range': '0-1/*', 'content-type': json } })
  })

  it.each([
    ['application/vnd.pgrst.object+json', 'application/vnd.pgrst.object+json; charset=utf-8'],
    ['application/vnd.pgrst.object+json;nulls=stripped', 'application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8'],
    ['application/vnd.pgrst.array+json;nulls=stripped', 'application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8'],
    ['text/csv', 'text/csv; charset=utf-8'],
    ['application/geo+json', 'application/geo+json; charset=utf-8'],
    ['text/plain', 'text/plain; charset=utf-8'],
    ['application/octet-stream', 'application/octet-stream'],
    [
      'application/vnd.pgrst.plan+json; for="application/json"; options=analyze|wal',
      'application/vnd.pgrst.plan+json; for="application/json"; options=analyze|wal; charset=utf-8',
    ],
  ])('in the form %s says so', (accept, type) => {
    expect(answer(sent('GET', '/rpc/f', { accept })).headers['content-type']).toBe(type)
  })

  it('that is a plan has nothing to say of rows', () => {
    const headers = { accept: 'application/vnd.pgrst.plan', prefer: 'count=exact' }
    expect(Object.keys(answer(sent('GET', '/t', headers)).headers)).toEqual(['content-type'])
  })

  it('names the schema where there was a choice', () => {
    const two = ['public', 'private']
    expect(answer(sent('GET', '/t', {}, two)).headers['content-profile']).toBe('public')
    expect(answer(sent('GET', '/t', { 'accept-profile': 'private' }, two)).headers['content-profile']).toBe('private')
    expect(answer(sent('GET', '/t')).headers).not.toHaveProperty('content-profile')
  })

  it('says where the same is found again', () => {
    const location = (url: string) => answer(sent('GET', url)).headers['content-location']
    expect(location('/t')).toBe('/t')
    expect(location('/t%20u?b=eq.1&select&a=in.(1,2)&a=gt.%C3%A9')).toBe('/t%20u?a=in.%281%2C2%29&a=gt.%C3%A9&b=eq.1')
    expect(location('/rpc/f?a=1')).toBeUndefined()
  })

  it('of nothing is 204', () => {
    expect(answer(sent('POST', '/rpc/f'), { nothing: true, rows: 1 })).toEqual({
      status: 204,
      statusText: undefined,
      headers: { 'content-range': '0-0/*' },
      body: undefined,
    })
  })
})

describe('the answer to a write', () => {
  const prefer = (value: string) => ({ prefer: value })
  it.each<[string, string, string, Partial<RestResult>, number, string | undefined, boolean]>([
    ['POST', '/t', '', {}, 201, '*/*', false],
    ['POST', '/t', 'return=minimal', {}, 201, '*/*', false],
    ['POST', '/t', 'return=headers-only', {}, 201, '*/*', false],
    ['POST', '/t', 'return=representation', {}, 201, '*/*', true],
    ['POST', '/t', 'count=exact', {}, 201, '*/2', false],
    ['POST', '/t', 'count=planned', {}, 201, '*/*', false],
    ['POST', '/t', 'return=representation', { rows: 0 }, 201, '*/*', true],
    ['POST', '/t', 'resolution=merge-duplicates', { inserted: 0 }, 200, '*/*', false],
    ['POST', '/t', 'resolution=merge-duplicates', { inserted: 1 }, 201, '*/*', false],
    ['POST', '/t', 'resolution=ignore-duplicates', { inserted: 0 }, 201, '*/*', false],
    ['PUT', '/t?id=eq.1', '', { inserted: 1 }, 204, undefined, false],
    ['PUT', '/t?id=eq.1', 'return=representation', { inserted: 1 }, 201, undefined, true],
    ['PUT', '/t?id=eq.1', 'return=representation', { inserted: 0 }, 200, undefined, true],
    ['PATCH', '/t', '', {}, 204, '0-1/*', false],
    ['PATCH', '/t', 'return=representation', {}, 200, '0-1/*', true],
    ['PATCH', '/t', 'count=exact', { rows: 0 }, 204, '*/0', false],
    ['PATCH', '/t', '', { rows: 0 }, 204, '*/*', false],
    ['DELETE', '/t', '', {}, 204, '*/*', false],
    ['DELETE', '/t', 'return=representation, count=exact', {}, 200, '*/2', true],
  ])('%s %s, Prefer %s, %j', (method, url, wanted, result, status, range, represented) => {
    const { headers, ...rest } = answer(sent(method, url, prefer(wanted)), result)
    expect(rest).toMatchObject({ status, body: represented ? '[…]' : undefined })
    expect(headers['content-range']).toBe(range)
    expect(headers['content-type']).toBe(represented ? json : undefined)
  })

  it('says where the row is, if that was asked for', () => {
    const location = [
      ['id', '5'],
      ['na me', "Rock & R+ll's"],
      ['n', null],
    ] as const
    const located = (wanted: string) => answer(sent('POST', '/my t', prefer(wanted)), { location }).headers['location']
    expect(located('return=headers-only')).toBe('/my%20t?id=eq.5&na%20me=eq.Rock%20%26%20R%2Bll%27s&n=is.null')
    expect(located('return=minimal')).toBeUndefined()
  })
})

describe('the preferences that were honoured', () => {
  const all =
    'timezone=UTC, handling=strict, max-affected=9, tx=rollback, count=exact, return=representation, missing=default, resolution=merge-duplicates'
  it.each([
    ['GET', '/t', 'count=exact, tx=rollback, handling=strict, timezone=UTC'],
    [
      'POST',
      '/t',
      'resolution=merge-duplicates, missing=default, return=representation, count=exact, tx=rollback, handling=strict, timezone=UTC',
    ],
    ['PUT', '/t?id=eq.1', 'return=representation, count=exact, tx=rollback, handling=strict, timezone=UTC'],
    [
      'PATCH',
      '/t',
      'missing=default, return=representation, count=exact, tx=rollback, handling=strict, timezone=UTC, max-affected=9',
    ],
    ['DELETE', '/t', 'return=representation, count=exact, tx=rollback, handling=strict, timezone=UTC, max-affected=9'],
    ['POST', '/rpc/f', 'count=exact, tx=rollback, handling=strict, timezone=UTC, max-affected=9'],
  ])('by %s %s are %s', (method, url, applied) => {
    expect(answer(sent(method, url, { prefer: all })).headers['preference-applied']).toBe(applied)
  })

  it('are those of the result', () => {
    const request = sent('POST', '/t', { prefer: 'resolution=merge-duplicates, return=minimal' })
    if (!answered(request)) throw new Error('is not run')
    const preferences = { ...request.preferences, resolution: undefined }
    expect(answer(request, { preferences }).headers['preference-applied']).toBe('return=minimal')
    expect(answer(sent('GET', '/t')).headers).not.toHaveProperty('preference-applied')
    expect(answer(sent('PATCH', '/t', { prefer: 'max-affected=1' })).headers).not.toHaveProperty('preference-applied')
  })
})

describe('what a function of the database says of the answer', () => {
  it('comes before everything else', () => {
    const responseHeaders = '[{"Set-Cookie":"a=1"},{"set-cookie":"b=2"},{"Content-Type":"text/html"},{"Content-Length":"1"}]'
    expect(answer(sent('GET', '/rpc/f'), { responseHeaders, responseStatus: '418' })).toMatchObject({
      status: 418,
      headers: { 'set-cookie': ['a=1', 'b=2'], 'content-type': 'text/html', 'content-range': '0-1/*' },
    })
    expect(answer(sent('GET', '/rpc/f'), { responseHeaders }).headers).not.toHaveProperty('content-length')
  })

  it('may be that there is no body', () => {
    expect(answer(sent('GET', '/rpc/f'), { responseStatus: '304' })).toMatchObject({ status: 304, body: undefined })
  })

  it.each(['{}', '[1]', '[{"a":1}]', '[{"a":"b","c":"d"}]', '[{}]', '[{"a":"b\\r\\nc"}]', '[{"a b":"c"}]', '[[]]', 'x'])(
    'is refused where its headers are %s',
    (responseHeaders) => {
      expect(() => answer(sent('GET', '/t'), { responseHeaders })).toThrow(restErrors.responseHeaders().message)
    },
  )

  it.each(['x', '99', '600', '-1', '1e3'])('is refused where its status is %s', (responseStatus) => {
    expect(() => answer(sent('GET', '/t'), { responseStatus })).toThrow(restErrors.responseStatus().message)
  })
})

describe('a result', () => {
  const check = (request: RestRequest, more: Partial<RestResult>) => () => {
    if (answered(request)) checkResult(request, resultOf(request, more))
  }
  const single = { accept: 'application/vnd.pgrst.object+json' }

  it.each([
    ['GET', '/t'],
    ['POST', '/t'],
    ['PATCH', '/t'],
    ['DELETE', '/t'],
    ['GET', '/rpc/f'],
  ])('of %s %s that is to be one object has one row', (method, url) => {
    expect(check(sent(method, url, single), { rows: 1 })).not.toThrow()
    for (const rows of [0, 2]) {
      expect(check(sent(method, url, single), { rows })).toThrow(
        expect.objectContaining({ code: 'PGRST116', status: 406, details: `The result contains ${rows} rows` }),
      )
    }
  })

  it('of a PUT is its one row', () => {
    expect(check(sent('PUT', '/t?id=eq.1', single), { rows: 0 })).toThrow(expect.objectContaining({ code: 'PGRST115' }))
    expect(check(sent('PUT', '/t?id=eq.1'), { rows: 1 })).not.toThrow()
  })

  it.each([
    ['PATCH', '/t', true],
    ['DELETE', '/t', true],
    ['POST', '/rpc/f', true],
    ['POST', '/t', false],
    ['GET', '/t', false],
  ])('of %s %s has no more rows than were allowed: %s', (method, url, limited) => {
    const strict = { prefer: 'handling=strict, max-affected=2' }
    expect(check(sent(method, url, strict), { rows: 2 })).not.toThrow()
    const tooMany = check(sent(method, url, strict), { rows: 3 })
    if (!limited) expect(tooMany).not.toThrow()
    else expect(tooMany).toThrow(expect.objectContaining({ code: 'PGRST124', details: 'The query affects 3 rows' }))
    expect(check(sent(method, url, { prefer: 'max-affected=2' }), { rows: 3 })).not.toThrow()
  })

  it('has headers and a status that HTTP has, or is rolled back', () => {
    expect(check(sent('POST', '/rpc/f'), { responseHeaders: 'x' })).toThrow(expect.objectContaining({ code: 'PGRST111' }))
    expect(check(sent('POST', '/rpc/f'), { responseStatus: 'x' })).toThrow(expect.objectContaining({ code: 'PGRST112' }))
  })
})

describe('the other answers', () => {
  it('to what is refused', () => {
    const { headers, body, status } = errorAnswer(restErrors.tokenRequired())
    expect(status).toBe(401)
    expect(headers).toEqual({
      'content-type': json,
      'proxy-status': 'PostgREST; error=PGRST302',
      'www-authenticate': 'Bearer',
    })
    expect(body).toBe('{"code":"PGRST302","details":null,"hint":null,"message":"Anonymous access is disabled"}')
  })

  it('of the root', () => {
    const root = (method: string, schemas?: string[]) => {
      const request = sent(method, '/', {}, schemas)
      if (request.kind !== 'root') throw new Error('not the root')
      return rootAnswer(request, '{}')
    }
    expect(root('GET')).toMatchObject({
      status: 200,
      body: '{}',
      headers: { 'content-type': 'application/openapi+json; charset=utf-8' },
    })
    expect(root('HEAD', ['a', 'b'])).toMatchObject({ body: undefined, headers: { 'content-profile': 'a' } })
  })

  it('to OPTIONS', () => {
    const table = (insertable: boolean, updatable: boolean, deletable: boolean, primaryKey: string[]) =>
      relationOptions({ insertable, updatable, deletable, primaryKey } as unknown as Table).headers['allow']
    expect(table(true, true, true, ['id'])).toBe('OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE')
    expect(table(true, true, true, [])).toBe('OPTIONS,GET,HEAD,POST,PATCH,DELETE')
    expect(table(false, false, false, ['id'])).toBe('OPTIONS,GET,HEAD')
    const allowed = (volatility: SqlFunction['volatility']) => functionOptions({ volatility } as SqlFunction).headers['allow']
    expect(allowed('volatile')).toBe('OPTIONS,POST')
    expect(allowed('stable')).toBe('OPTIONS,GET,HEAD,POST')
    expect(rootOptions()).toMatchObject({
      status: 200,
      headers: { allow: 'OPTIONS,GET,HEAD', 'access-control-allow-origin': '*' },
    })
  })
})

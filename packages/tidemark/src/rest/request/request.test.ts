import { describe, expect, it } from 'vitest'
import type { RestRequest } from '../query.js'
import { RestError } from '../rest-error.js'
import { limits } from './limits.js'
import { parseRequest, type RequestSettings, type RestHttpRequest } from './request.js'

const settings: RequestSettings = {
  schemas: ['public', 'private'],
  transactionOverride: true,
  plans: true,
  root: true,
  maxBodyBytes: 10_000,
}

type Sent = Partial<Omit<RestHttpRequest, 'body'>> & {
  readonly body?: string | Buffer
  readonly using?: Partial<RequestSettings>
}

const send = ({ body, using, ...rest }: Sent): RestRequest =>
  parseRequest(
    {
      method: 'GET',
      path: '/items',
      query: '',
      headers: {},
      ...rest,
      body: typeof body === 'string' ? Buffer.from(body) : body,
    },
    { ...settings, ...using },
  )

const refusal = (sent: Sent): RestError => {
  try {
    send(sent)
  } catch (error) {
    if (error instanceof RestError) return error
    throw error
  }
  throw new Error('was accepted')
}

const readOf = (sent: Sent) => {
  const request = send(sent)
  if (!('read' in request)) throw new Error('reads nothing')
  return request.read
}

describe('what is asked for', () => {
  it.each([
    ['GET', '/items', { kind: 'read', target: { schema: 'public', name: 'items' }, headOnly: false }],
    ['HEAD', '/items', { kind: 'read', headOnly: true }],
    ['DELETE', '/items', { kind: 'delete' }],
    ['GET', '/rpc/add', { kind: 'call', method: 'GET', target: { schema: 'public', name: 'add' }, payload: undefined }],
    ['HEAD', '/rpc/add', { kind: 'call', method: 'GET', headOnly: true }],
    ['POST', '/rpc/add', { kind: 'call', method: 'POST' }],
    ['GET', '/rpc', { kind: 'read', target: { schema: 'public', name: 'rpc' } }],
    ['GET', '/', { kind: 'root', schema: 'public', headOnly: false }],
    ['HEAD', '', { kind: 'root', headOnly: true }],
    ['OPTIONS', '/', { kind: 'options', on: 'root' }],
    ['OPTIONS', '/items', { kind: 'options', on: 'relation', target: { schema: 'public', name: 'items' } }],
    ['OPTIONS', '/rpc/add', { kind: 'options', on: 'function' }],
    ['GET', '/Escap3e%3B%2F%C3%A9', { kind: 'read', target: { name: 'Escap3e;/é' } }],
  ])('%s %s', (method, path, request) => {
    expect(send({ method, path })).toMatchObject(request)
  })

  it.each([
    ['TRACE', '/items', 405, 'PGRST117', 'Unsupported HTTP method: TRACE'],
    ['POST', '/', 405, 'PGRST117', 'Unsupported HTTP method: POST'],
    ['DELETE', '/rpc/add', 405, 'PGRST101', 'Cannot use the DELETE method on RPC'],
    ['GET', '/a/b', 404, 'PGRST125', 'Invalid path specified in request URL'],
    ['GET', '/items/', 404, 'PGRST125', 'Invalid path specified in request URL'],
    ['GET', '/rpc/a/b', 404, 'PGRST125', 'Invalid path specified in request URL'],
    ['GET', '/a%', 404, 'PGRST125', 'Invalid path specified in request URL'],
    ['GET', '/a%FF', 404, 'PGRST125', 'Invalid path specified in request URL'],
  ])('%s %s is refused', (method, path, status, code, message) => {
    expect(refusal({ method, path })).toMatchObject({ status, code, message })
  })

  it('at the root is refused where that is off', () => {
    expect(refusal({ path: '/', using: { root: false } })).toMatchObject({ status: 404, code: 'PGRST126' })
  })
})

describe('the schema', () => {
  it('of a read is chosen by Accept-Profile, of a write by Content-Profile', () => {
    const headers = { 'accept-profile': 'private', 'content-profile': 'public' }
    expect(send({ headers })).toMatchObject({ target: { schema: 'private' }, profiled: true })
    expect(send({ method: 'POST', headers, body: '{}' })).toMatchObject({ target: { schema: 'public' }, profiled: true })
  })

  it('is named in the answer where there is a choice', () => {
    expect(send({})).toMatchObject({ profiled: true })
    expect(send({ using: { schemas: ['public'] } })).toMatchObject({ profiled: false })
  })

  it('that is not exposed is refused', () => {
    expect(refusal({ headers: { 'accept-profile': 'secret' } })).toMatchObject({
      status: 406,
      code: 'PGRST106',
      message: 'Invalid schema: secret',
      hint: 'Only the following schemas are exposed: public, private',
    })
  })
})

describe('the parameters', () => {
  it('fill the tree that select makes, each where its name says', () => {
    const query = [
      'select=id,a:author(name,books(*)),...tags(*)',
      'id=eq.1',
      'id=not.eq.2',
      'a.name=like.x*',
      'author.books.title=is.null',
      'author.or=(x.eq.1,y.eq.2)',
      'not.and=(z.eq.1)',
      'tags.t=eq.1',
      'order=id.desc',
      'a.books.order=title',
      'limit=5',
      'offset=2',
      'a.books.limit=1',
      'a.books.offset=3',
    ].join('&')
    const read = readOf({ query })
    const condition = (name: string) => expect.objectContaining({ field: { column: name, path: [] } })
    expect(read).toMatchObject({
      where: [condition('id'), condition('id'), { kind: 'and', negated: true }],
      order: [{ direction: 'desc' }],
      limit: 5,
      offset: 2,
    })
    expect(read.select[1]).toMatchObject({ read: { where: [condition('name'), { kind: 'or' }], limit: undefined } })
    expect(read.select[1]).toMatchObject({
      read: { select: [{}, { read: { where: [condition('title')], order: [{}], limit: 1, offset: 3 } }] },
    })
    expect(read.select[2]).toMatchObject({ spread: true, read: { where: [condition('t')] } })
  })

  it('for something that is not embedded are refused', () => {
    for (const query of ['x.id=eq.1', 'x.order=id', 'x.limit=1', 'x.or=(a.eq.1)', 'select=a(*)&a.x.id=eq.1']) {
      expect(refusal({ query })).toMatchObject({
        code: 'PGRST108',
        message: "'x' is not an embedded resource in this request",
        hint: "Verify that 'x' is included in the 'select' query parameter.",
      })
    }
  })

  it('given twice count once: select and order as they come first, limits as they come last', () => {
    const read = readOf({ query: 'select=a&select=b&order=a&order=b&limit=1&limit=2' })
    expect(read).toMatchObject({ select: [{ field: { column: 'a' } }], order: [{ field: { column: 'a' } }], limit: 2 })
    expect(read.order).toHaveLength(1)
  })

  it('without a value are none', () => {
    expect(readOf({ query: 'select&id&&order' })).toEqual({ select: [{ kind: 'all' }], where: [], order: [] })
  })

  it('are read as forms are: escapes, pluses, UTF-8', () => {
    const read = readOf({ query: 'a%20b=eq.1+2%2B%26%3D&c=eq.%F0%9F%90%98&d=eq.100%&e=eq.%zz%4' })
    expect(read.where.map((one) => 'test' in one && one.test)).toMatchObject(
      ['1 2+&=', '🐘', '100%', '%zz%4'].map((value) => ({ value })),
    )
    expect(read.where[0]).toMatchObject({ field: { column: 'a b' } })
    expect(readOf({ query: `a=eq.${Buffer.from('é').toString('latin1')}` }).where).toMatchObject([{ test: { value: 'é' } }])
  })

  it('that are no UTF-8 are refused', () => {
    expect(refusal({ query: 'a=eq.%FF' })).toMatchObject({ status: 400, code: 'PGRST100' })
    expect(refusal({ query: 'a=eq.%C3' })).toMatchObject({ status: 400, code: 'PGRST100' })
  })

  it('are bounded in number', () => {
    expect(readOf({ query: Array(limits.parameters).fill('a=eq.1').join('&') }).where).toHaveLength(limits.parameters)
    expect(
      refusal({
        query: Array(limits.parameters + 1)
          .fill('a=eq.1')
          .join('&'),
      }),
    ).toMatchObject({ code: 'PGRST100' })
  })

  it('name the columns of a write and what may conflict', () => {
    const request = send({ method: 'POST', query: 'columns="a",b,a&on_conflict=x,y', body: '[{"c":1}]' })
    expect(request).toMatchObject({ columns: ['a', 'b'], onConflict: ['x', 'y'], payload: { keys: ['a', 'b'] } })
  })
})

describe('rows', () => {
  const window = (query: string, range?: string) => {
    const { limit, offset } = readOf({ query, headers: range === undefined ? {} : { range } })
    return [offset, limit]
  }
  it.each<[string, string | undefined, (number | undefined)[]]>([
    ['', undefined, [undefined, undefined]],
    ['limit=3', undefined, [undefined, 3]],
    ['offset=2', undefined, [2, undefined]],
    ['limit=3&offset=2', undefined, [2, 3]],
    ['limit=0', undefined, [undefined, 0]],
    ['offset=-4', undefined, [undefined, undefined]],
    ['limit=x&offset=y', undefined, [undefined, undefined]],
    ['limit=99999999999999999999', undefined, [undefined, Number.MAX_SAFE_INTEGER]],
    ['', '0-9', [undefined, 10]],
    ['', '5-', [5, undefined]],
    ['limit=3', '0-1', [undefined, 2]],
    ['limit=10', '5-6', [5, 2]],
    ['limit=0', '5-6', [undefined, 0]],
    ['', 'bytes=0-9', [undefined, undefined]],
  ])('%s, Range %s', (query, range, expected) => {
    expect(window(query, range)).toEqual(expected)
  })

  it.each([
    ['limit=-1', undefined, 'Limit should be greater than or equal to zero.'],
    ['limit=3', '5-9', 'Limit should be greater than or equal to zero.'],
    ['', '1-0', 'The lower boundary must be lower than or equal to the upper boundary in the Range header.'],
    ['select=a(*)&a.limit=-1', undefined, 'Limit should be greater than or equal to zero.'],
  ])('%s, Range %s is refused', (query, range, details) => {
    expect(refusal({ query, headers: { range } })).toMatchObject({ status: 416, code: 'PGRST103', details })
  })

  it('are counted by the Range header of GET alone', () => {
    const headers = { range: '1-2' }
    expect(send({ headers })).toMatchObject({ range: { from: 1, to: 2 } })
    expect(send({ method: 'HEAD', headers })).toMatchObject({ range: undefined, read: { limit: undefined } })
    expect(send({ path: '/rpc/f', headers })).toMatchObject({ range: { from: 1, to: 2 }, read: { limit: 2 } })
    expect(send({ path: '/rpc/f', method: 'POST', headers })).toMatchObject({ range: undefined, read: { limit: undefined } })
  })

  it('that a write concerns are all', () => {
    expect(send({ method: 'DELETE', query: 'limit=1&offset=1' })).toMatchObject({ read: { limit: undefined, offset: undefined } })
    expect(refusal({ method: 'PATCH', query: 'limit=-1', body: '{}' }).code).toBe('PGRST103')
  })
})

describe('a call', () => {
  const call = (sent: Sent) => {
    const request = send({ path: '/rpc/f', ...sent })
    if (request.kind !== 'call') throw new Error('no call')
    return request
  }

  it('by GET has arguments between the filters of its result', () => {
    const { named, read } = call({ query: 'a=1&b=x.y&b=z&id=eq.5&select=id&limit=2&c.d=1&e=' })
    expect([...named]).toEqual([
      ['a', ['1']],
      ['b', ['x.y', 'z']],
      ['d', ['1']],
      ['e', ['']],
    ])
    expect(read).toMatchObject({ where: [{ field: { column: 'id' } }], limit: 2 })
  })

  it('by POST has filters in its query and arguments in its body', () => {
    expect(call({ method: 'POST', query: 'id=eq.1', body: '{"a":1}' })).toMatchObject({
      read: { where: [{}] },
      payload: { kind: 'json', text: '{"a":1}', array: false, rows: 1, keys: ['a'] },
    })
    expect(refusal({ path: '/rpc/f', method: 'POST', query: 'a=1', body: '{}' }).code).toBe('PGRST100')
  })

  it.each<[string, string, object]>([
    ['application/json', '', { text: '{}', keys: [], array: false }],
    ['application/json', '[{"a":1,"b":2},{"b":3,"a":4}]', { keys: ['a', 'b'], array: true, rows: 2 }],
    ['application/json', '[1,2]', { keys: [], array: true, rows: 2 }],
    ['application/json', '5', { text: '5', keys: [], array: false }],
    ['text/csv', 'a,b\n1,NULL', { text: '[{"a":"1","b":null}]', keys: ['a', 'b'] }],
    ['text/plain', 'x', { kind: 'raw', type: 'text', bytes: Buffer.from('x') }],
    ['text/xml; charset=utf-8', '<x/>', { kind: 'raw', type: 'xml' }],
    ['Application/Octet-Stream', 'x', { kind: 'raw', type: 'octets' }],
  ])('with a body of %s: %s', (type, body, payload) => {
    expect(call({ method: 'POST', headers: { 'content-type': type }, body }).payload).toMatchObject(payload)
  })

  it('takes a form', () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const { named, payload } = call({ method: 'POST', headers, body: 'a=1+2&b=%C3%A9&a=3&c' })
    expect(payload).toBeUndefined()
    expect([...named]).toEqual([
      ['a', ['1 2', '3']],
      ['b', ['é']],
      ['c', ['']],
    ])
  })

  it('takes columns', () => {
    expect(call({ method: 'POST', query: 'columns=a', body: '[{"b":1},{"c":2}]' })).toMatchObject({
      columns: ['a'],
      payload: { keys: ['a'], rows: 2 },
    })
  })
})

describe('the body of a write', () => {
  const post = (body: string | Buffer, type?: string, query = ''): Sent => ({
    method: 'POST',
    query,
    body,
    headers: { 'content-type': type },
  })

  it.each<[string | undefined, string, object]>([
    [undefined, '{"a":1}', { text: '{"a":1}', array: false, rows: 1, keys: ['a'] }],
    ['application/json; charset=utf-8', '[{"a":1},{"a":2}]', { array: true, rows: 2, keys: ['a'] }],
    ['application/json', '[]', { array: true, rows: 0, keys: [] }],
    ['application/json', '[{}]', { rows: 1, keys: [] }],
    ['application/json', '{"n":1e400,"__proto__":1}', { text: '{"n":1e400,"__proto__":1}', keys: ['n', '__proto__'] }],
    [
      'text/csv',
      'a,"b,""c"""\r\n1,"x\ny"\n\n2,NULL\n',
      { text: '[{"a":"1","b,\\"c\\"":"x\\ny"},{"a":"2","b,\\"c\\"":null}]', rows: 2, keys: ['a', 'b,"c"'] },
    ],
    ['text/csv', 'a\n', { text: '[]', rows: 0, keys: ['a'] }],
    ['text/csv', 'a,b\n1,', { text: '[{"a":"1","b":""}]' }],
    [
      'application/x-www-form-urlencoded',
      'a=1&b=x+y&a=2',
      { text: '{"a":"2","b":"x y"}', rows: 1, keys: ['a', 'b'], array: false },
    ],
  ])('of %s: %s', (type, body, payload) => {
    expect(send(post(body, type))).toMatchObject({ payload: { kind: 'json', ...payload } })
    expect(send({ ...post(body, type), method: 'PATCH' })).toMatchObject({ kind: 'update', payload })
  })

  it.each<[string | undefined, string | Buffer, string]>([
    ['application/json', '', 'Empty or invalid json'],
    ['application/json', '}{ x = 2', 'Empty or invalid json'],
    ['application/json', '{"a":1}{', 'Empty or invalid json'],
    ['application/json', '5', 'Empty or invalid json'],
    ['application/json', 'null', 'Empty or invalid json'],
    ['application/json', '[1,2]', 'All object keys must match'],
    ['application/json', '[null]', 'All object keys must match'],
    ['application/json', '[{"a":1},{"b":1}]', 'All object keys must match'],
    ['application/json', '[{"a":1},{"a":1,"b":1}]', 'All object keys must match'],
    ['application/json', '[{"a":1},[]]', 'All object keys must match'],
    ['application/json', '[{"toString":1},{"x":1}]', 'All object keys must match'],
    ['application/json', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'The body is not valid UTF-8'],
    ['text/csv', '', 'parse error (not enough input) at ""'],
    ['text/csv', 'a,b\nfoo,bar\nbaz', 'All lines must have same number of fields'],
    ['text/csv', 'a\nfoo,bar', 'All lines must have same number of fields'],
    ['text/csv', 'a\n"foo', 'parse error (not enough input) at ""'],
    ['text/csv', 'a\nfo"o', 'parse error (endOfInput) at "\\"o"'],
    ['text/csv', 'a\n"fo"o', 'parse error (endOfInput) at "o"'],
    ['text/plain', 'x', 'Content-Type not acceptable: text/plain'],
    ['multipart/form-data; boundary=x', 'x', 'Content-Type not acceptable: multipart/form-data'],
    ['', 'x', 'Content-Type not acceptable: '],
  ])('of %s that is wrong: %s', (type, body, message) => {
    expect(refusal(post(body, type))).toMatchObject({ status: 400, code: 'PGRST102', message })
  })

  it('with columns may bring any rows: Postgres looks at them', () => {
    expect(send(post('[{"a":1},{"b":2},3]', undefined, 'columns=a'))).toMatchObject({ payload: { rows: 3, keys: ['a'] } })
  })

  it('is bounded in size and depth', () => {
    expect(refusal(post(`{"a":"${'x'.repeat(10_000)}"}`))).toMatchObject({ status: 413, code: 'PGRST102' })
    const deep = (levels: number) => `{"a":${'['.repeat(levels)}"[{\\"[{["${']'.repeat(levels)}}`
    expect(send(post(deep(limits.jsonDepth - 1)))).toMatchObject({ payload: { keys: ['a'] } })
    expect(refusal(post(deep(limits.jsonDepth)))).toMatchObject({
      code: 'PGRST102',
      message: `The json is nested deeper than ${limits.jsonDepth} levels`,
    })
  })

  it('of PUT is for the row that its filters name', () => {
    const put = (query: string): Sent => ({ method: 'PUT', query, body: '{"id":1}' })
    expect(send(put('id=eq.1&offset=0'))).toMatchObject({ kind: 'insert', put: true, read: { where: [{}] } })
    expect(send(post('{"id":1}', undefined, 'id=eq.1'))).toMatchObject({ put: false, read: { where: [] } })
    expect(refusal(put('id=eq.1&limit=1'))).toMatchObject({ status: 400, code: 'PGRST114' })
    for (const query of ['id=gt.1', 'id=not.eq.1', 'id=eq(any).{1}', 'and=(id.eq.1,x.eq.1)']) {
      expect(refusal(put(query))).toMatchObject({ status: 405, code: 'PGRST105' })
    }
  })
})

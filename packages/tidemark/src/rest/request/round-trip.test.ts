import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { propertyRuns } from '../../testing/property-runs.js'
import { isRestError } from '../rest-error.js'
import { printQuery } from '../testing/print-query.js'
import { queryStrings, reads } from '../testing/query-strings.js'
import { parseRequest, type RequestSettings } from './request.js'

const settings: RequestSettings = {
  schemas: ['public'],
  transactionOverride: true,
  plans: true,
  root: true,
  maxBodyBytes: 1_000_000,
}

const parse = (query: string, method = 'GET', path = '/t') =>
  parseRequest({ method, path, query, headers: {}, body: method === 'POST' ? Buffer.from('{}') : undefined }, settings)

/** What a request makes of a query that may be anything: a request, or a refusal. */
const outcome = (query: string, method: string, path: string): string => {
  try {
    return parse(query, method, path).kind
  } catch (error) {
    if (isRestError(error) && error.status >= 400 && error.status < 500) return error.code
    throw error
  }
}

describe('a query string', () => {
  it('printed from a tree is read back as the same tree', () => {
    fc.assert(
      fc.property(reads(), (read) => {
        const request = parse(printQuery(read))
        expect('read' in request && request.read).toEqual(read)
      }),
      propertyRuns(500),
    )
  })

  it('of any kind is read or refused, and never anything else', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(
        queryStrings(),
        fc.constantFrom(['GET', '/t'], ['GET', '/rpc/f'], ['POST', '/t'], ['PUT', '/t'], ['DELETE', '/t']),
        (query, [method, path]) => {
          seen.add(outcome(query, method ?? '', path ?? ''))
        },
      ),
      propertyRuns(3_000),
    )
    expect([...seen]).toEqual(expect.arrayContaining(['read', 'call', 'insert', 'delete', 'PGRST100', 'PGRST108']))
  })

  it.each<[string, string]>([
    ['select=', 'a('],
    ['select=', 'a,'],
    ['select=', '"a\\"'],
    ['select=', '"a,'],
    ['select=', 'a-'],
    ['select=', 'a->'],
    ['select=', 'a->0'],
    ['select=', 'a::b'],
    ['select=', 'a:'],
    ['select=', 'x:a!b!c('],
    ['select=', '...'],
    ['select=', ' '],
    ['select=', 'a.sum().'],
    ['order=', 'a(b'],
    ['order=', 'a(b),'],
    ['order=', 'a.desc.nullsfirs'],
    ['or=', '('],
    ['or=(', 'a.eq."x,'],
    ['or=(', 'a.eq.{x,'],
    ['or=(', 'a.eq."x\\",'],
    ['or=(', 'and(a.eq.1),'],
    ['or=(', 'not.'],
    ['a=in.(', '"x,'],
    ['a=in.(', '"x\\",'],
    ['a=in.(', '"x"y,'],
    ['a=', 'not.'],
    ['a=', 'eq(any'],
    ['a=fts(', 'x '],
    ['', 'a.'],
    ['', '%FF'],
    ['', '%'],
    ['', '+'],
    ['', '&'],
    ['columns=', 'a,'],
    ['', 'a->"x\\"'],
  ])('%s%s… is answered at any length: what takes the square of it would not end here', { timeout: 30_000 }, (start, part) => {
    const query = start + part.repeat(200_000 / part.length)
    expect(() => outcome(query, 'GET', '/t')).not.toThrow()
    expect(() => outcome(query, 'GET', '/rpc/f')).not.toThrow()
  })
})

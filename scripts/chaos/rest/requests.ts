/** Requests as nobody means them: sound ones, nearly sound ones and noise, at every place where a caller's text can stand. */
import fc from 'fast-check'
import type { RestHttpRequest } from '../../../packages/tidemark/dist/rest/rest.js'
import { queryStrings } from '../../../packages/tidemark/dist/rest/testing/query-strings.js'
import { between, type Dice, oneOf } from '../random.ts'
import { bodyText, fitting, value } from './bodies.ts'
import { plausible, shapeOf } from './queries.ts'
import { tables } from './schema.ts'
import { argumentNames, functions, mark, mostly, signatures, word, words } from './words.ts'

const contentTypes = [
  ...[
    'application/json',
    'application/json',
    'application/json',
    'application/json',
    'application/json',
    'application/json',
    'application/json; charset=utf-8',
    'text/csv',
    'text/plain',
  ],
  ...['application/octet-stream', 'application/x-www-form-urlencoded', 'text/xml', `application/${mark}`, ''],
] as const
const accepts = [
  ...[
    '*/*',
    'application/json',
    'text/csv',
    'application/vnd.pgrst.object+json',
    'application/vnd.pgrst.array+json;nulls=stripped',
  ],
  ...['application/geo+json', 'application/vnd.pgrst.plan+text', 'application/vnd.pgrst.plan+json; options=analyze|verbose'],
  ...['text/plain', 'application/octet-stream', 'application/openapi+json', `text/${mark}, */*;q=0.1`, mark],
] as const
const preferences = [
  ...['return=representation', 'return=minimal', 'return=headers-only', 'count=exact', 'count=planned', 'count=estimated'],
  ...['resolution=merge-duplicates', 'resolution=ignore-duplicates', 'missing=default', 'tx=rollback', 'handling=strict'],
  ...['handling=lenient', 'max-affected=1', 'timezone=Europe/Berlin', `timezone=${mark}'`, `${mark}=1`, 'params=single-object'],
] as const

const headersOf = (dice: Dice, writes: boolean): Record<string, string> => {
  const headers: Record<string, string> = { 'x-test': word(dice) }
  if (writes) headers['content-type'] = oneOf(dice, contentTypes)
  if (dice() < 0.15) headers['accept'] = oneOf(dice, accepts)
  const some = Array.from({ length: between(dice, 0, 3) }, () => oneOf(dice, preferences))
  if (writes && dice() < 0.5) some.push('return=representation')
  if (some.length > 0) headers['prefer'] = some.join(', ')
  if (dice() < 0.05) headers['range'] = oneOf(dice, ['0-1', '1-', '5-2', '-1', `${mark}-1`, '0-99999999999999999999'])
  if (dice() < 0.06) {
    const profile = oneOf(dice, ['other', 'hidden', 'auth', 'pg_catalog', 'api', `api"${mark}`, ''])
    headers[oneOf(dice, ['accept-profile', 'content-profile'])] = profile
  }
  if (dice() < 0.05) headers['cookie'] = `a=${mark}; ${value(dice).replaceAll('\u0000', '')}`
  return headers
}

interface Call {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly body: string | undefined
}

const call = (dice: Dice): Call => {
  const called = mostly(dice, functions, 0.97)
  const path = `/rpc/${encodeURIComponent(called)}`
  const method = oneOf(dice, ['GET', 'GET', 'GET', 'POST', 'POST', 'POST', 'HEAD', 'PATCH'])
  const names = dice() < 0.85 ? (signatures[called] ?? []) : [mostly(dice, argumentNames, 0.95)]
  const filters = dice() < 0.4 ? plausible(dice, 'items') : ''
  if (method === 'POST') {
    const args = Object.fromEntries(names.map((key) => [key, fitting(dice, key)]))
    return { path, method, query: filters, body: dice() < 0.7 ? JSON.stringify(args) : bodyText(dice, argumentNames) }
  }
  const args = names.map((key) => [key, String(fitting(dice, key))].map(encodeURIComponent).join('='))
  return { path, method, query: [...args, filters].filter(Boolean).join('&'), body: undefined }
}

export const roles = ['anon', 'ann', 'bob', 'service'] as const
export type Role = (typeof roles)[number]

export interface ChaosRequest {
  readonly role: Role
  readonly http: RestHttpRequest
}

const writing = ['POST', 'PATCH', 'DELETE', 'PUT'] as const

const request = (dice: Dice, noise: string): ChaosRequest => {
  const role = oneOf(dice, roles)
  if (dice() < 0.15) {
    const { body, ...rest } = call(dice)
    return {
      role,
      http: { ...rest, headers: headersOf(dice, body !== undefined), body: body === undefined ? undefined : Buffer.from(body) },
    }
  }
  const method = dice() < 0.7 ? 'GET' : dice() < 0.9 ? oneOf(dice, writing) : oneOf(dice, ['HEAD', 'OPTIONS', 'TRACE'])
  const writes = /^P/.test(method)
  const relation = mostly(dice, tables, 0.98)
  const path =
    dice() < 0.98 ? `/${encodeURIComponent(relation)}` : oneOf(dice, ['', '/', '/%', '/a/b', `/%22${mark}`, '/rpc', '/%00'])
  const query = dice() < 0.7 ? plausible(dice, relation) : noise
  const body = writes ? Buffer.from(bodyText(dice, ['name', 'note', 'owner', ...shapeOf(relation).columns])) : undefined
  return { role, http: { method, path, query, headers: headersOf(dice, writes), body } }
}

const arbitrary = queryStrings(words)

/** So many requests, the same for the same dice. */
export const requestsOf = (dice: Dice, count: number): readonly ChaosRequest[] => {
  const noise = fc.sample(arbitrary, { numRuns: Math.ceil(count / 2), seed: Math.floor(dice() * 2 ** 31) })
  return Array.from({ length: count }, (_, n) => request(dice, noise[n % noise.length]!))
}

import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../errors.js'
import { RestError } from './rest-error.js'
import { restErrorOf } from './rest-error-of.js'
import { restErrors } from './rest-errors.js'

const user = { anonymous: false }
const anonymous = { anonymous: true }
const server = (code: string, message = 'it failed', more: object = {}) =>
  Object.assign(new Error(message), { code, severity: 'ERROR', ...more })
const wrapped = (cause: Error) => new TidemarkError('TM_POSTGRES_QUERY', { sqlstate: 'x', reason: 'y' }, { cause })

describe('the body of an error', () => {
  it('has code, details, hint and message, in this order', () => {
    expect(JSON.stringify(restErrors.notSingular(0))).toBe(
      '{"code":"PGRST116","details":"The result contains 0 rows","hint":null,"message":"Cannot coerce the result to a single JSON object"}',
    )
  })

  it('lists the ways between two relations', () => {
    const way = { cardinality: 'one-to-many', from: 'a', to: 'b', relationship: 'k using a(id) and b(a_id)', hint: 'k' }
    const error = restErrors.relationshipAmbiguous('a', 'b', [way, { ...way, hint: 'l' }])
    expect(error.details).toEqual(
      [way, way].map(({ cardinality, relationship }) => ({ cardinality, embedding: 'a with b', relationship })),
    )
    expect(error.hint).toBe(
      "Try changing 'b' to one of the following: 'b!k', 'b!l'. Find the desired relationship in the 'details' key.",
    )
  })

  it.each([
    [['b', 'a'], 'json', '(a, b)', 'with parameters a, b or with a single unnamed json/jsonb parameter'],
    [['a'], undefined, '(a)', 'with parameter a'],
    [[], undefined, ' without parameters', 'without parameters'],
    [[], 'json', ' without parameters', 'without parameters or with a single unnamed json/jsonb parameter'],
    [[], 'octets', '', 'with a single unnamed bytea parameter'],
  ] as const)(
    'of a function that is not there, called with %j as %s, says what was looked for',
    (keys, body, message, details) => {
      const error = restErrors.functionNotFound({ schema: 's', name: 'f', keys, body, hint: 'h' })
      expect(error.message).toBe(`Could not find the function s.f${message} in the schema cache`)
      expect(error.details).toBe(`Searched for the function s.f ${details}, but no matches were found in the schema cache.`)
      expect(error.hint).toBe(body === 'octets' ? null : 'h')
    },
  )
})

describe('the headers of an error', () => {
  it('name the code', () => {
    expect(restErrors.path().headers).toEqual({ 'proxy-status': 'PostgREST; error=PGRST125' })
  })

  it('of a token that is refused ask for another', () => {
    expect(restErrors.badClaims('JWT expired').headers['www-authenticate']).toBe(
      'Bearer error="invalid_token", error_description="JWT expired"',
    )
    expect(restErrors.tokenRequired().headers['www-authenticate']).toBe('Bearer')
  })

  it('hold no line break that a function of the database put there', () => {
    const error = new RestError({ code: 'A\r\nset-cookie: x', status: 400, message: '', statusText: 'no\r\nway' })
    expect(error.headers['proxy-status']).toBe('PostgREST; error=A??set-cookie: x')
    expect(error.statusText).toBe('no??way')
  })
})

describe('an error of Postgres', () => {
  it.each([
    ['08006', 503],
    ['09000', 500],
    ['0L000', 403],
    ['0P000', 403],
    ['21000', 500],
    ['22023', 400],
    ['22P02', 400],
    ['23502', 400],
    ['23503', 409],
    ['23505', 409],
    ['23514', 400],
    ['25006', 405],
    ['25001', 500],
    ['28000', 403],
    ['2D000', 500],
    ['38000', 500],
    ['39000', 500],
    ['3B000', 500],
    ['40001', 500],
    ['42501', 403],
    ['42601', 400],
    ['42703', 400],
    ['42883', 404],
    ['42P01', 404],
    ['42P17', 500],
    ['53100', 503],
    ['53400', 500],
    ['54001', 500],
    ['55000', 500],
    ['57014', 500],
    ['57P01', 503],
    ['58000', 500],
    ['F0000', 500],
    ['HV000', 500],
    ['P0001', 400],
    ['P0002', 500],
    ['XX000', 500],
    ['PT402', 402],
    ['PTABC', 500],
    ['PT099', 500],
    ['PT999', 500],
  ])('%s has the status %i', (code, status) => {
    expect(restErrorOf(wrapped(server(code)), user)).toMatchObject({ code, status, message: 'it failed' })
  })

  it('depends on its words where PostgREST goes by them', () => {
    expect(restErrorOf(server('21000', 'DELETE requires a WHERE clause'), user).status).toBe(400)
    expect(restErrorOf(server('22023', 'role "x" does not exist'), user).status).toBe(401)
    expect(restErrorOf(server('42883', 'function xmlagg(integer) does not exist'), user).status).toBe(406)
    expect(restErrorOf(server('PT402', 'Payment Required'), user).statusText).toBe('Payment Required')
  })

  it('keeps detail and hint, without secrets', () => {
    expect(restErrorOf(server('23505', 'm', { detail: 'd', hint: 'postgres://a:topsecret@h/d' }), user).toJSON()).toEqual({
      code: '23505',
      message: 'm',
      details: 'd',
      hint: 'postgres://a:***@h/d',
    })
  })

  it('that forbids something asks the anonymous to log in', () => {
    const error = restErrorOf(server('42501', 'permission denied for table t'), anonymous)
    expect(error).toMatchObject({ status: 401, code: '42501', headers: { 'www-authenticate': 'Bearer' } })
    expect(restErrorOf(server('42501'), user).headers).not.toHaveProperty('www-authenticate')
  })

  it('of the login is trouble with the connection, and tells nothing of it', () => {
    const error = restErrorOf(server('28P01', 'password authentication failed for user "ann"', { severity: 'FATAL' }), user)
    expect(error).toMatchObject({ status: 503, code: 'PGRST000', details: null })
  })
})

describe('an answer that a function of the database dictates', () => {
  const message = '{"code":"123","message":"m","details":"d","hint":"h"}'
  const raise = (text: string, detail?: string) => restErrorOf(server('PGRST', text, { detail }), user)

  it('is given', () => {
    const error = raise(message, '{"status":332,"status_text":"My","headers":{"X-Header":"str"}}')
    expect(error).toMatchObject({ status: 332, statusText: 'My' })
    expect(error.headers).toEqual({ 'proxy-status': 'PostgREST; error=123', 'x-header': 'str' })
    expect(error.toJSON()).toEqual({ code: '123', message: 'm', details: 'd', hint: 'h' })
  })

  it.each([
    ['INVALID', '{}', "Invalid JSON value for MESSAGE: 'INVALID'"],
    ['{"code":"1"}', '{}', `Invalid JSON value for MESSAGE: '{"code":"1"}'`],
    [message, undefined, 'DETAIL is missing in the RAISE statement'],
    [message, 'INVALID', "Invalid JSON value for DETAIL: 'INVALID'"],
    [message, '{"status":400}', `Invalid JSON value for DETAIL: '{"status":400}'`],
    [message, '{"status":99,"headers":{}}', `Invalid JSON value for DETAIL: '{"status":99,"headers":{}}'`],
    [
      message,
      '{"status":400,"headers":{"a":"b\\r\\nc"}}',
      `Invalid JSON value for DETAIL: '{"status":400,"headers":{"a":"b\\r\\nc"}}'`,
    ],
  ])('that cannot be read (%s, %s) is an error of its own', (text, detail, details) => {
    expect(raise(text, detail)).toMatchObject({ code: 'PGRST121', status: 500, details })
  })

  it('does not say how the body is sent', () => {
    const error = raise(message, '{"status":400,"headers":{"Content-Length":"1","Transfer-Encoding":"chunked"}}')
    expect(error.headers).toEqual({ 'proxy-status': 'PostgREST; error=123' })
  })
})

describe('trouble on the way to Postgres (SEC-2)', () => {
  it.each([
    [new TidemarkError('TM_POSTGRES_UNREACHABLE', { target: 'h', reason: 'topsecret' }), 503, 'PGRST000'],
    [new TidemarkError('TM_POSTGRES_AUTHENTICATION', { target: 'h', user: 'u', reason: 'topsecret' }), 503, 'PGRST000'],
    [new TidemarkError('TM_POSTGRES_CONNECTION_LOST', { target: 'h', reason: 'topsecret' }), 503, 'PGRST001'],
    [
      new TidemarkError('TM_POSTGRES_POOL_TIMEOUT', { pool: 'topsecret', timeoutMs: 1, inUse: 1, maxConnections: 1 }),
      504,
      'PGRST003',
    ],
    [new TidemarkError('TM_POSTGRES_TIMEOUT', { sqlstate: '57014', reason: 'topsecret' }), 500, '57014'],
    [new TidemarkError('TM_INTERNAL', { reason: 'topsecret' }), 500, 'PGRSTX00'],
    [new Error('topsecret'), 500, 'PGRSTX00'],
    ['topsecret', 500, 'PGRSTX00'],
  ])('%s tells the caller no more than that', (error, status, code) => {
    const told = restErrorOf(error, user)
    expect(told).toMatchObject({ status, code, cause: error })
    expect(JSON.stringify(told) + JSON.stringify(told.headers)).not.toContain('topsecret')
  })
})

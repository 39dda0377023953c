import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { AuthError, errorBody, errorFormOf } from './auth-error.js'
import { checkedChallenge, checkedEmail, checkedMetadata, checkedPhone, optionalText, readBody } from './fields.js'
import { parseGoDuration } from './go-duration.js'

describe('email addresses', () => {
  test.each([
    ['Ana@Example.COM', 'ana@example.com'],
    ["o'neil+x@a-b.co", "o'neil+x@a-b.co"],
    ['a@localhost', 'a@localhost'],
  ])('%s is %s', (given, read) => expect(checkedEmail(given)).toBe(read))
  test.each([
    [''],
    ['a'],
    ['a@'],
    ['@b'],
    ['a b@c.d'],
    ['a@b@c'],
    ['a@b..c'],
    ['a@-b.c'],
    ['ä@b.c'],
    ['a\0@b.c'],
    [`${'a'.repeat(251)}@b.co`],
    ['a@b.c\n'],
  ])('%j is none', (given) =>
    expect(() => checkedEmail(given)).toThrow(expect.objectContaining({ status: 400, code: 'validation_failed' })),
  )
})

describe('phone numbers', () => {
  test.each([
    ['+49 151 123456', '49151123456'],
    ['15551234567', '15551234567'],
  ])('%s is %s', (given, read) => expect(checkedPhone(given)).toBe(read))
  test.each([['0151'], ['+'], ['abc'], ['1'.repeat(16)], ['++49'], ['49-151']])('%s is none', (given) =>
    expect(() => checkedPhone(given)).toThrow('Invalid phone number format (E.164 required)'),
  )
})

describe('metadata', () => {
  test('is taken as it is where Postgres can hold it', () => {
    const value = { a: [1, { b: 'ü😀' }], 'back\\u0000slash': 'x\\u0000y' }
    expect(checkedMetadata(value)).toBe(value)
  })
  test.each([[{ a: 'x\0' }], [{ 'k\0': 1 }], [{ a: ['\ud800'] }], [{ a: { '\udc00': 1 } }], [{ a: 'x'.repeat(8192) }]])(
    'is refused where it cannot be stored, or would not fit into a token',
    (value) => expect(() => checkedMetadata(value)).toThrow(expect.objectContaining({ status: 422 })),
  )
})

describe('code challenges', () => {
  const challenge = 'a'.repeat(43)
  const read = (code_challenge: string, code_challenge_method: string) =>
    checkedChallenge({ code_challenge, code_challenge_method })
  test('come with their method, in either case, or not at all', () => {
    expect(read('', '')).toBeUndefined()
    expect(read(challenge, 'S256')).toEqual({ challenge, challengeMethod: 's256' })
    expect(read(challenge, 'plain')).toEqual({ challenge, challengeMethod: 'plain' })
  })
  test.each([
    [challenge, ''],
    ['', 's256'],
    ['a'.repeat(42), 's256'],
    ['a'.repeat(129), 's256'],
    [`${challenge}!`, 's256'],
    [challenge, 'md5'],
  ])('%s with %j is refused', (given, method) =>
    expect(() => read(given, method)).toThrow(expect.objectContaining({ code: 'validation_failed' })),
  )
})

test('a body that is none is refused without its values', () => {
  const schema = z.object({ email: optionalText })
  expect(readBody(schema, { email: null, other: 1 })).toEqual({ email: '' })
  expect(readBody(schema, undefined)).toEqual({ email: '' })
  for (const body of [{ email: 5 }, { email: { secret: 'x' } }, [], 'secret', 7])
    expect(() => readBody(schema, body)).toThrow(
      expect.objectContaining({ status: 400, code: 'bad_json', message: expect.not.stringContaining('secret') }),
    )
})

test.each([
  ['24h', 86_400_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1500],
  ['100ms', 100],
  ['x', undefined],
  ['', undefined],
  ['-1h', undefined],
  ['1d', undefined],
  ['5', undefined],
])('the duration %s of a ban is %s ms', (text, ms) => expect(parseGoDuration(text)).toBe(ms))

describe('errors', () => {
  const error = new AuthError(422, 'weak_password', 'Too short', { reasons: ['length'] })
  test('take the form that the client asks for', () => {
    expect(errorBody(error, errorFormOf('2024-01-01'))).toEqual({
      code: 'weak_password',
      message: 'Too short',
      weak_password: { reasons: ['length'] },
    })
    expect(errorBody(error, errorFormOf(undefined))).toEqual({
      code: 422,
      error_code: 'weak_password',
      msg: 'Too short',
      weak_password: { reasons: ['length'] },
    })
  })
  test.each([
    ['2024-01-01', '2024-01-01'],
    ['2031-12-31', '2024-01-01'],
    ['2023-12-31', undefined],
    ['soon', undefined],
    ['2024-1-1', undefined],
  ])('the version %s has the form %s', (version, form) => expect(errorFormOf(version)).toBe(form))
})

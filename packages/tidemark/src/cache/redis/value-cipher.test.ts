import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createValueCipher, type EncryptionOptions } from './value-cipher.js'

const keyA = randomBytes(32).toString('base64')
const keyB = randomBytes(32).toString('hex')
const place = Buffer.from('head and key')

describe('The cipher of cached values', () => {
  it('opens what it sealed, at its place only', () => {
    const cipher = createValueCipher({ keys: { a: keyA }, current: 'a' })
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array({ minLength: 1 }), (content, where) => {
        const sealed = cipher.seal(content, where)
        expect(cipher.open(sealed, where)).toEqual(Buffer.from(content))
        expect(cipher.open(sealed, where.subarray(1))).toBeUndefined()
      }),
    )
  })

  it('seals the same content in another way each time, and shows none of it', () => {
    const cipher = createValueCipher({ keys: { a: keyA }, current: 'a' })
    const content = Buffer.from('a message that nobody else may read')
    const [one, other] = [cipher.seal(content, place), cipher.seal(content, place)]
    expect(one).not.toEqual(other)
    expect(one.includes(content.subarray(0, 6))).toBe(false)
  })

  it('reads what an earlier key sealed, and nothing once that key is gone', () => {
    const before = createValueCipher({ keys: { a: keyA }, current: 'a' })
    const both = createValueCipher({ keys: { a: keyA, b: keyB }, current: 'b' })
    const after = createValueCipher({ keys: { b: keyB }, current: 'b' })
    const old = before.seal(Buffer.from('x'), place)
    const young = both.seal(Buffer.from('y'), place)
    expect(both.open(old, place)?.toString()).toBe('x')
    expect(after.open(old, place)).toBeUndefined()
    expect(after.open(young, place)?.toString()).toBe('y')
    expect(before.open(young, place)).toBeUndefined()
  })

  it('opens nothing under another key of the same name, nor the same key under another name', () => {
    const sealed = createValueCipher({ keys: { a: keyA }, current: 'a' }).seal(Buffer.from('x'), place)
    expect(createValueCipher({ keys: { a: keyB }, current: 'a' }).open(sealed, place)).toBeUndefined()
    const renamed = Buffer.from(sealed)
    renamed.write('b', 1)
    expect(createValueCipher({ keys: { a: keyA, b: keyA }, current: 'a' }).open(renamed, place)).toBeUndefined()
  })

  it('opens nothing that was changed, cut or made up', () => {
    const cipher = createValueCipher({ keys: { a: keyA }, current: 'a' })
    const sealed = cipher.seal(Buffer.from('some content'), place)
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed)
      changed[at]! ^= 1
      expect(cipher.open(changed, place)).toBeUndefined()
      expect(cipher.open(sealed.subarray(0, at), place)).toBeUndefined()
    }
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(cipher.open(Buffer.from(bytes), place)).toBeUndefined()
      }),
    )
  })

  it('takes keys as base64, base64 for URLs, and hex', () => {
    const bytes = randomBytes(32)
    const write = createValueCipher({ keys: { a: bytes.toString('hex') }, current: 'a' })
    const sealed = write.seal(Buffer.from('x'), place)
    for (const text of [bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('hex').toUpperCase()]) {
      expect(
        createValueCipher({ keys: { a: text }, current: 'a' })
          .open(sealed, place)
          ?.toString(),
      ).toBe('x')
    }
  })

  it('refuses keys that are none, and never shows one', () => {
    const secret = randomBytes(32).toString('base64')
    const wrong: EncryptionOptions[] = [
      { keys: {}, current: 'a' },
      { keys: { a: '' }, current: 'a' },
      { keys: { a: undefined as never }, current: 'a' },
      { keys: { a: secret.slice(4) }, current: 'a' },
      { keys: { a: `${secret}AAAA` }, current: 'a' },
      { keys: { a: secret.replace(/^.../, '!!!') }, current: 'a' },
      { keys: { a: secret }, current: 'b' },
      { keys: { a: secret }, current: secret },
      { keys: { [secret]: 'a' }, current: 'a' },
      { keys: { 'a b': secret }, current: 'a b' },
      { keys: { ['a'.repeat(33)]: secret }, current: 'a'.repeat(33) },
    ]
    for (const options of wrong) {
      const attempt = () => createValueCipher(options)
      expect(attempt).toThrow(expect.objectContaining({ code: 'TM_CACHE_ENCRYPTION_KEY' }))
      try {
        attempt()
      } catch (error) {
        expect(`${inspect(error, { depth: 9 })}${JSON.stringify(error)}`).not.toContain(secret.slice(6, 30))
      }
    }
    const cipher = createValueCipher({ keys: { a: secret }, current: 'a' })
    expect(inspect(cipher, { depth: 9, showHidden: true })).not.toContain(secret.slice(6, 30))
  })
})

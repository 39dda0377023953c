import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CopyWriter } from './copy-writer.js'
import { numericBytes, plainDecimal, writeNumeric } from './numeric-binary.js'

const written = (write: (writer: CopyWriter) => void): Buffer => {
  const writer = new CopyWriter(16)
  write(writer)
  return writer.take(16)
}

describe('CopyWriter', () => {
  it('writes 64-bit integers as the platform does', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(written((writer) => writer.int64(value))).toEqual(written((writer) => writer.bigint64(BigInt(value))))
      }),
    )
  })

  it('writes text as UTF-8 with its length, short or long', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        fc.pre(!text.includes('\0') && !text.includes('\uFFFD'))
        const bytes = written((writer) => writer.text(text))
        expect(bytes.readInt32BE(0)).toBe(Buffer.byteLength(text))
        expect(bytes.subarray(4).toString('utf8')).toBe(text)
      }),
    )
  })

  it('leaves nothing behind where a text is in doubt', () => {
    for (const text of ['a\0b', '\0'.repeat(200), 'x\uFFFD', `${'x'.repeat(200)}\uFFFD`]) {
      const writer = new CopyWriter(16)
      expect(writer.text(text)).toBe(text.includes('\0') ? 'nul' : 'replacement')
      expect(writer.length).toBe(0)
    }
  })

  it('grows without losing what stands', () => {
    const writer = new CopyWriter(8)
    for (let i = 0; i < 1000; i++) writer.int32(i)
    const bytes = writer.take(8)
    expect(bytes.length).toBe(8000)
    expect(bytes.readInt32BE(7996)).toBe(999)
  })
})

describe('numeric', () => {
  it('writes the plain digits of any double and any whole number', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const digits = plainDecimal(value)
        expect(digits).not.toMatch(/e/)
        expect(Number(digits)).toBe(value === 0 ? Number(digits) : value)
      }),
    )
  })

  it('takes the same bytes by the short way and the long', () => {
    fc.assert(
      fc.property(fc.integer({ min: -999_999_999, max: 999_999_999 }), fc.integer({ min: 0, max: 4 }), (digits, scale) => {
        const value = digits / 10 ** scale
        expect(written((writer) => writeNumeric(writer, value)).subarray(4)).toEqual(numericBytes(value))
      }),
    )
  })
})

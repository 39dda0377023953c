import { isUtf8 } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { epochDigest, type FrameContent, type FramePlace, readFrame, writeFrame } from './frame.js'
import { createValueCipher } from './value-cipher.js'

const cipher = createValueCipher({ keys: { k1: randomBytes(32).toString('base64') }, current: 'k1' })
const id = 'abcdefghijklmnop'
const nowMs = Date.UTC(2024, 5, 1)
const open: FramePlace = { key: 'chat:messages:7', epoch: epochDigest('e1'), cipher: undefined, nowMs }
const sealed: FramePlace = { ...open, cipher }
const content = (value: unknown, rest: Partial<FrameContent> = {}): FrameContent => ({
  value,
  plain: true,
  ageMs: 0,
  freshForMs: 1000,
  keptForMs: 60_000,
  asOf: 0n,
  tags: [],
  ...rest,
})
const written = (value: unknown, place: FramePlace, rest: Partial<FrameContent> = {}): Buffer =>
  writeFrame(id, content(value, rest), place)!

// By way of JSON, which has no -0: a value with one is not plain.
const plainValue = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown)
const structuredValue = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withSparseArray: true,
})
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })

describe.each([
  ['open', open],
  ['sealed', sealed],
])('A frame, %s', (_name, place) => {
  it('brings any plain value back, and everything beside it', () => {
    const ms = fc.nat(2 ** 31 - 1)
    fc.assert(
      fc.property(
        plainValue,
        uint64,
        fc.array(fc.string({ unit: 'binary' })),
        ms,
        ms,
        ms,
        (value, asOf, tags, age, fresh, kept) => {
          const rest = { asOf, tags, ageMs: age, freshForMs: fresh, keptForMs: kept + 1 }
          const frame = written(value, place, rest)
          expect(readFrame(frame, place)).toEqual({ value, plain: true, id, bytes: frame.length, ...rest })
        },
      ),
    )
  })

  it('brings dates, big integers, bytes, maps, sets and what lies within them back', () => {
    fc.assert(
      fc.property(structuredValue, (value) => {
        const frame = writeFrame(id, content(value, { plain: false }), place)
        // Objects without a prototype get one.
        expect(readFrame(frame!, place)?.value).toEqual(structuredClone(value))
      }),
    )
    const special = {
      at: new Date(5),
      n: 2n ** 70n,
      bytes: Buffer.from([255, 0]),
      map: new Map([[{ a: 1 }, new Set([-0, Number.NaN])]]),
    }
    const back = readFrame(written(special, place, { plain: false }), place)!.value as typeof special
    expect(back).toEqual(special)
    expect(Buffer.isBuffer(back.bytes)).toBe(true)
    expect(back.bytes.buffer.byteLength).toBeLessThan(1024)
    const self: { me?: unknown } = {}
    self.me = self
    const again = readFrame(written(self, place, { plain: false }), place)!.value as typeof self
    expect(again.me).toBe(again)
  })

  it('is nothing to whoever reads it in another epoch, or after its time', () => {
    const frame = written('x', place)
    expect(readFrame(frame, { ...place, epoch: epochDigest('e2') })).toBeUndefined()
    expect(readFrame(frame, { ...place, nowMs: nowMs + 59_999 })?.keptForMs).toBe(1)
    expect(readFrame(frame, { ...place, nowMs: nowMs + 60_000 })).toBeUndefined()
  })

  it('ages by wall time, and is never younger than new where a clock is behind', () => {
    const frame = written('x', place, { ageMs: 500 })
    const at = (offset: number) => readFrame(frame, { ...place, nowMs: nowMs + offset })
    expect(at(700)).toMatchObject({ ageMs: 1200, freshForMs: 300, keptForMs: 59_300 })
    expect(at(2000)).toMatchObject({ ageMs: 2500, freshForMs: -1000 })
    expect(at(-3_600_000)).toMatchObject({ ageMs: 0, freshForMs: 1500, keptForMs: 60_500 })
  })

  it('is nothing once any of its bytes is another, or it is cut or lengthened', () => {
    const frame = written({ text: 'grüße', list: [1, 2, 3] }, place, { asOf: 77n, tags: ['user:5'] })
    for (let at = 0; at < frame.length; at++) {
      for (const bit of [1, 16, 128]) {
        const changed = Buffer.from(frame)
        changed[at]! ^= bit
        expect(readFrame(changed, place), `byte ${at}`).toBeUndefined()
      }
      expect(readFrame(frame.subarray(0, at), place)).toBeUndefined()
    }
    expect(readFrame(Buffer.concat([frame, Buffer.of(0)]), place)).toBeUndefined()
  })

  it('never raises on bytes that somebody else wrote', () => {
    const start = written('x', place).subarray(0, 37)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(37), fc.nat(3), (bytes, kept, flags) => {
        const frame = Buffer.concat([start.subarray(0, kept), bytes])
        if (kept > 36) frame[36] = flags
        expect(readFrame(frame, place)).toBeUndefined()
      }),
      { numRuns: 2000 },
    )
  })

  it('cannot be made of a function, of what JSON refuses, nor of tags without end', () => {
    expect(
      writeFrame(
        id,
        content(() => 1, { plain: false }),
        place,
      ),
    ).toBeUndefined()
    expect(writeFrame(id, content({ n: 1n }), place)).toBeUndefined()
    expect(writeFrame(id, content('x', { tags: ['t'.repeat(2 ** 21)] }), place)).toBeUndefined()
  })

  it('holds numbers that are too large or too small at their bounds', () => {
    const rest = { asOf: -1n, freshForMs: -5, keptForMs: Number.POSITIVE_INFINITY }
    expect(readFrame(written('x', place, rest), place)).toMatchObject({ asOf: 0n, freshForMs: 0, keptForMs: 2 ** 49 - 1 })
    expect(readFrame(written('x', place, { asOf: 2n ** 64n }), place)?.asOf).toBe(2n ** 64n - 1n)
  })
})

describe('A frame', () => {
  it('is text where its value is plain, so that every driver sends it as it is', () => {
    fc.assert(
      fc.property(plainValue, uint64, fc.array(fc.string({ unit: 'binary' })), (value, asOf, tags) => {
        expect(isUtf8(written(value, open, { asOf, tags }))).toBe(true)
      }),
    )
  })

  it('that is sealed shows neither its value nor its tags, and opens under its own key and head only', () => {
    const frame = written({ text: 'a secret word' }, sealed, { tags: ['user:4711'] })
    expect(frame.includes('secret')).toBe(false)
    expect(frame.includes('4711')).toBe(false)
    expect(readFrame(frame, sealed)).toBeDefined()
    expect(readFrame(frame, { ...sealed, key: 'chat:messages:8' })).toBeUndefined()
    const later = Buffer.from(frame)
    later[43]! ^= 1
    expect(readFrame(later, sealed)).toBeUndefined()
  })

  it('is nothing where it is sealed and should not be, or should be and is not', () => {
    expect(readFrame(written('x', sealed), open)).toBeUndefined()
    expect(readFrame(written('x', open), sealed)).toBeUndefined()
  })
})

/** Frames stay in Redis while versions of this package change. */
it('A frame of this version has the layout that is written down', () => {
  const text = `tmk1${epochDigest('e1')}${id}`
  const frame = written([1], open, { asOf: 130n, tags: ['a'] })
  expect(frame.toString('latin1', 0, 36)).toBe(text)
  expect([...frame.subarray(36, 37)]).toEqual([0])
  expect([...frame.subarray(58, 68)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 2])
  expect(frame.toString('latin1', 71, frame.length - 5)).toBe('["a"][1]')
})

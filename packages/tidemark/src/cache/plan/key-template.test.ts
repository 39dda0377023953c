import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTemplate, writePart } from './key-template.js'

const part = fc.string({ unit: 'grapheme', maxLength: 20 })

describe('a key template', () => {
  it('makes the documented names', () => {
    expect(parseTemplate('reanna:tour:{tour_id}').build(['7'])).toBe('reanna:tour:7')
    expect(parseTemplate('reanna:rate_limit:{service_name}:{endpoint}').build(['hubspot', '/v3/contacts'])).toBe(
      'reanna:rate_limit:hubspot:/v3/contacts',
    )
    expect(parseTemplate('reanna:dashboard:overview').build([])).toBe('reanna:dashboard:overview')
  })

  it('gives two sets of parts two keys, whatever they hold', () => {
    const template = parseTemplate('x:{a}:{b}:y:{c}')
    const parts = fc.tuple(part, part, part)
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const same = one.every((each, i) => each === other[i])
        expect(template.build(one) === template.build(other)).toBe(same)
      }),
    )
    expect(template.build(['1:2', '3', ''])).toBe('x:1%3A2:3:y:')
    expect(template.build(['1', '2:3', ''])).toBe('x:1:2%3A3:y:')
  })

  it('leaves nothing in a key that ends a line or looks like a companion', () => {
    fc.assert(
      fc.property(part, (each) => {
        expect(parseTemplate('k:{a}').build([each])).not.toMatch(/[\s{}\p{Cc}]/u)
      }),
      { examples: [['{k}:fence'], ['a\r\nSET b 1'], ['\u2028'], ['\0']] },
    )
  })

  it.each([
    ['', 'no name of its own'],
    ['{id}', 'no name of its own'],
    ['a:{id}{b}', 'no ":" between'],
    ['a:{id}-{b}', 'no ":" between'],
    ['a:{id}:{id}', 'twice'],
    ['a:{i d}', 'letters, digits'],
    ['a:{}', 'letters, digits'],
    ['a:{id', 'brace'],
    ['a b:{id}', 'white space'],
  ])('%j is refused: %s', (text, reason) => {
    expect(() => parseTemplate(text)).toThrow(
      expect.objectContaining({ code: 'TM_CACHE_TEMPLATE', message: expect.stringContaining(reason) }),
    )
  })

  it('makes the same of params as of their parts', () => {
    const forms = ['text', 'integer', 'uuid'] as const
    const template = parseTemplate('x:{a}:{b}:{c}:z')
    const key = template.keyer('staging:', forms)
    const text = fc.oneof(part, fc.string({ unit: fc.constantFrom('a', 'Z', '_', '-', '.', '@', '%', ':', ' ', 'é', '\n', '7') }))
    const whole = fc.oneof(
      fc.maxSafeInteger(),
      fc.bigInt(-(2n ** 60n), 2n ** 60n),
      fc.maxSafeInteger().map(String),
      fc.constant(-0),
    )
    const uuid = fc.uuid().chain((each) => fc.constantFrom(each, each.toUpperCase(), each.replaceAll('-', '')))
    fc.assert(
      fc.property(fc.oneof(text, fc.integer()), whole, uuid, (a, b, c) => {
        const values = [a, b, c] as const
        const parts = values.map((each, i) => writePart(template.text, 'abc'[i]!, each, forms[i]!))
        expect(key({ a, b, c })).toBe(`staging:${template.build(parts)}`)
      }),
    )
    const one = parseTemplate('x:{a}')
    for (const each of ['a', 'Z', '_', '-', '.', '@', '/', '%', ':', '{', '}', ' ', '\n', 'a\n', '\x7f', 'é', '\u2028'])
      expect(one.keyer('', ['text'])({ a: each })).toBe(one.build([each]))
    expect(() => key({ a: 'a', b: 1.5, c: 'c' })).toThrow(expect.objectContaining({ code: 'TM_CACHE_KEY' }))
    expect(() => key({ a: 'a', b: 1, c: 2 })).toThrow(expect.objectContaining({ code: 'TM_CACHE_KEY' }))
    expect(() => key({ a: 'a', b: 1, c: undefined })).toThrow(expect.objectContaining({ code: 'TM_CACHE_KEY' }))
  })

  it('refuses keys that are too long', () => {
    const template = parseTemplate('a:{b}')
    expect(() => template.build(['x'.repeat(2000)])).toThrow(expect.objectContaining({ code: 'TM_CACHE_KEY' }))
    const key = template.keyer('p'.repeat(1000), ['text'])
    expect(key({ b: 'é'.repeat(511) })).toHaveLength(1000 + 2 + 511)
    expect(() => key({ b: 'é'.repeat(512) })).toThrow(expect.objectContaining({ code: 'TM_CACHE_KEY' }))
  })
})

describe('a part', () => {
  const write = (value: unknown, form: 'text' | 'integer' | 'uuid') => writePart('a:{id}', 'id', value as string, form)

  it('is written as Postgres writes it', () => {
    expect([write(7, 'integer'), write('007', 'integer'), write(7n, 'integer'), write('-0', 'integer')]).toEqual([
      '7',
      '7',
      '7',
      '0',
    ])
    expect(write(9_223_372_036_854_775_807n, 'integer')).toBe('9223372036854775807')
    const uuid = '0f8fad5b-d9cb-469f-a165-70867728950e'
    for (const text of [uuid, uuid.toUpperCase(), uuid.replaceAll('-', ''), `{${uuid}}`]) expect(write(text, 'uuid')).toBe(uuid)
    expect([write('', 'text'), write('é:1', 'text'), write(12, 'text')]).toEqual(['', 'é:1', '12'])
  })

  it.each([
    [undefined, 'text'],
    [null, 'text'],
    [{}, 'text'],
    [1.5, 'text'],
    [Number.NaN, 'integer'],
    [2 ** 60, 'integer'],
    ['1e3', 'integer'],
    ['a\0b', 'text'],
    ['\ud800', 'text'],
    ['not a uuid', 'uuid'],
  ] as const)('%j is no %s', (value, form) => {
    expect(() => write(value, form)).toThrow(expect.objectContaining({ code: 'TM_CACHE_KEY' }))
  })
})

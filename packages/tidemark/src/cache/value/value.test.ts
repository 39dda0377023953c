import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { freezeDeep, freezeParsed } from './value.js'

/** Every object in a value, each once. */
const objectsIn = (value: unknown, seen = new Set<object>()): Set<object> => {
  if (typeof value !== 'object' || value === null || seen.has(value)) return seen
  seen.add(value)
  if (value instanceof Map) for (const pair of value) for (const part of pair) objectsIn(part, seen)
  if (value instanceof Set) for (const part of value) objectsIn(part, seen)
  if (!(value instanceof Uint8Array)) for (const part of Object.values(value)) objectsIn(part, seen)
  return seen
}

const refusal = (value: unknown): string => {
  try {
    freezeDeep(value, 'chat:1')
  } catch (error) {
    expect(error).toMatchObject({ code: 'TM_CACHE_VALUE' })
    return (error as Error).message.replace(' cannot be kept in a cache: it is ', ' | ')
  }
  throw new Error('nothing was refused')
}

class Money {
  readonly cents = 1
}

describe('a cached value', () => {
  test('that JSON gave is frozen and counted by a shorter way to the same end', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        const value = JSON.parse(text) as unknown
        const bytes = freezeParsed(value)
        for (const object of objectsIn(value)) expect(Object.isFrozen(object)).toBe(true)
        expect(freezeDeep(JSON.parse(text)).heapBytes).toBe(bytes)
      }),
    )
    let deep = '1'
    for (let depth = 0; depth < 100_000; depth++) deep = `[${deep}]`
    expect(freezeParsed(JSON.parse(deep))).toBeGreaterThan(100_000)
  })

  test('is frozen to its last object, and what JSON gives back as it is counts as JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const plain = JSON.parse(JSON.stringify(value)) as unknown
        expect(freezeDeep(plain).kind).toBe('json')
        expect(plain).toEqual(JSON.parse(JSON.stringify(value)))
        for (const object of objectsIn(plain)) expect(Object.isFrozen(object)).toBe(true)
        expect(freezeDeep(plain).kind).toBe('json')
      }),
    )
  })

  test('that contains nothing is counted and refused by a shorter way to the same end', () => {
    const outcome = (value: unknown): unknown => {
      try {
        return freezeDeep(value)
      } catch (error) {
        return String(error).replace('value[0]', 'value')
      }
    }
    const member = fc.oneof(
      fc.anything({ maxDepth: 0, withBigInt: true }),
      fc.constantFrom(undefined, -0, Number.NaN, () => 1, Symbol()),
    )
    fc.assert(
      fc.property(fc.dictionary(fc.string(), member), fc.nat(9), (values, hidden) => {
        const make = () => Object.defineProperty({ ...values }, 'x', { value: 1, enumerable: hidden > 0 })
        const [alone, inside] = [outcome(make()), outcome([make()])]
        if (typeof alone === 'string') expect(inside).toBe(alone)
        else
          expect(inside).toEqual({
            ...(alone as object),
            heapBytes: (alone as { heapBytes: number }).heapBytes + freezeDeep([1]).heapBytes,
          })
      }),
    )
  })

  test('is called JSON only where JSON gives it back as it is', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withSparseArray: true,
      withNullPrototype: false,
      maxDepth: 3,
    })
    fc.assert(
      fc.property(anything, (value) => {
        fc.pre(value !== undefined)
        const { kind } = freezeDeep(value)
        for (const object of objectsIn(value)) expect(Object.isFrozen(object)).toBe(true)
        if (kind === 'json') expect(JSON.parse(JSON.stringify(value))).toStrictEqual(value)
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    ['a date', { at: new Date(0) }],
    ['a bigint', [1n]],
    ['bytes', { body: new Uint8Array([1]) }],
    ['a buffer', { body: Buffer.from('x') }],
    ['a map', new Map([['a', 1]])],
    ['a set', { seen: new Set([1]) }],
    ['an undefined member', { a: undefined }],
    ['a hole', new Array(2)],
    ['not a number', { ratio: Number.NaN }],
    ['an infinity', Number.POSITIVE_INFINITY],
    ['minus zero', [-0]],
  ])('with %s is richer than JSON', (_, value) => {
    expect(freezeDeep(value).kind).toBe('rich')
  })

  test('may hold an object in two places, which JSON would double each time', () => {
    let value: object = { leaf: true }
    for (let depth = 0; depth < 60; depth++) value = { left: value, right: value }
    expect(freezeDeep(value).kind).toBe('rich')
  })

  test('may be of another realm, or have no prototype', () => {
    expect(freezeDeep(runInNewContext('({ a: [1, { b: null }] })')).kind).toBe('json')
    expect(freezeDeep(runInNewContext('[new Date(0), new Map(), new Uint8Array(2)]')).kind).toBe('rich')
    expect(freezeDeep(Object.assign(Object.create(null), { a: 1 })).kind).toBe('json')
  })

  test.each([
    ['a function', { rows: [{}, { on: () => 1 }] }, 'chat:1.rows[1].on | a function.'],
    ['a symbol', [Symbol('s')], 'chat:1[0] | a symbol.'],
    ['a promise', { 'the row': Promise.resolve(1) }, 'chat:1["the row"] | a promise.'],
    ['an instance of a class', { price: new Money() }, 'chat:1.price | an instance of Money.'],
    ['an error', [new Error('x')], 'chat:1[0] | an instance of Error.'],
    ['a pattern', { a: /x/ }, 'chat:1.a | an instance of RegExp.'],
    ['a subclass of Map', { a: new (class Lookup extends Map {})() }, 'chat:1.a | an instance of Lookup.'],
    ['a subclass of Array', new (class Rows extends Array {})(), 'chat:1 | an instance of Rows.'],
    ['other typed arrays', { a: new Float64Array(1) }, 'chat:1.a | an instance of Float64Array.'],
    ['boxed text', { a: Object('x') }, 'chat:1.a | an instance of String.'],
    ['a proxy', { a: new Proxy({}, {}) }, 'chat:1.a | a Proxy.'],
    ['shared memory', { a: new Uint8Array(new SharedArrayBuffer(8)) }, 'chat:1.a | memory shared with other threads.'],
    [
      'an accessor',
      { a: Object.defineProperty({}, 'now', { get: Date.now, enumerable: true }) },
      'chat:1.a | an object with the accessor now.',
    ],
    ['a hidden property', Object.defineProperty({}, 'x', { value: 1 }), 'chat:1 | an object with the hidden property x.'],
    ['a symbol as key', { [Symbol('k')]: 1 }, 'chat:1 | an object with the key Symbol(k).'],
    ['a list with more than its members', { m: /(?<y>.)/.exec('x') }, 'chat:1.m | a list with the property groups.'],
    ['a function in a map', new Map([['a', { f: refusal }]]), 'chat:1.value(0).f | a function.'],
    [
      'a symbol as key of a map',
      new Map([
        ['a', 1],
        [Symbol('k'), 2],
      ] as [unknown, number][]),
      'chat:1.key(1) | a symbol.',
    ],
    ['a class in a set', new Set([1, new Money()]), 'chat:1[1] | an instance of Money.'],
    ['undefined itself', undefined, 'chat:1 | undefined.'],
  ])('that holds %s is refused', (_, value, message) => {
    expect(refusal(value)).toBe(message)
  })

  test('that holds itself is refused with the place where the cycle closes', () => {
    const session: Record<string, unknown> = { id: 1 }
    session['messages'] = [{ id: 2, session }]
    expect(refusal({ session })).toBe('chat:1.session.messages[0].session | a cycle back to chat:1.session.')
    const map = new Map<string, unknown>()
    map.set('self', map)
    expect(refusal(map)).toBe('chat:1.value(0) | a cycle back to chat:1.')
  })

  test('is left as it was where it is refused', () => {
    const value = { a: { b: [1] }, on: () => 1 }
    refusal(value)
    expect([...objectsIn({ a: value.a })].some((object) => Object.isFrozen(object))).toBe(false)
    expect(Object.isFrozen(value)).toBe(false)
  })

  test('may be nested as deep as memory allows', () => {
    const root: unknown[] = []
    let deepest = root
    for (let depth = 0; depth < 50_000; depth++) {
      const next: unknown[] = []
      deepest.push(next)
      deepest = next
    }
    expect(freezeDeep(root).kind).toBe('json')
    expect(Object.isFrozen(deepest)).toBe(true)
    const odd = [[[[[[[[[[[[[[[[Symbol('s')]]]]]]]]]]]]]]]]
    expect(refusal(odd)).toBe(`chat:1${'[0]'.repeat(6)}…(4 more)…${'[0]'.repeat(6)} | a symbol.`)
  })

  test('does not let its dates, maps and sets be changed by their own methods', () => {
    const value = { at: new Date(5), map: new Map([['a', [1]]]), set: new Set([1]) }
    freezeDeep(value)
    for (const change of [
      () => value.at.setTime(6),
      () => value.at.setHours(1),
      () => value.map.set('b', []),
      () => value.map.delete('a'),
      () => value.map.clear(),
      () => value.map.get('a')?.push(2),
      () => value.set.add(2),
      () => value.set.delete(1),
      () => value.set.clear(),
    ])
      expect(change).toThrow(TypeError)
    expect(value.at.getTime()).toBe(5)
    expect([...value.map]).toEqual([['a', [1]]])
    expect([...value.set]).toEqual([1])
    expect(value.at).toBeInstanceOf(Date)
    const copy = structuredClone(value)
    copy.at.setTime(6)
    copy.map.set('b', [])
    expect(copy.set.add(2).size).toBe(2)
    expect(freezeDeep(value).kind).toBe('rich')
  })
})

describe('the bytes of a value', () => {
  test('are those of the text, by the width of its characters', () => {
    expect(freezeDeep('x'.repeat(1000)).heapBytes).toBe(1016)
    expect(freezeDeep('š'.repeat(1000)).heapBytes).toBe(2016)
  })

  test('count a buffer with all that it keeps alive, once', () => {
    const whole = new Uint8Array(100_000)
    const { heapBytes } = freezeDeep([whole.subarray(0, 10), whole.subarray(10, 20)])
    expect(heapBytes).toBeGreaterThan(100_000)
    expect(heapBytes).toBeLessThan(101_000)
  })
})

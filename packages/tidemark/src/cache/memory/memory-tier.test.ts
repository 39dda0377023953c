import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createMemoryTier, type MemorySlot, type MemoryTier } from './memory-tier.js'
import { slotBytes } from './slot.js'
import { tagBytes, taggedBytes } from './tag-index.js'

const evictions = ['sieve', 'lru', 'lfu'] as const

const slot = (key: string, bytes = 100, more: Partial<MemorySlot> = {}): MemorySlot => ({
  key,
  value: Object.freeze({ key }),
  bytes,
  loadedAtMs: 0,
  freshUntilMs: 50,
  keptUntilMs: 100,
  tags: [],
  ...more,
})

/** Bytes of the characters in memory: one each, or two where one of them needs it. */
const characters = (text: string): number => text.length * (Buffer.byteLength(text) === text.length ? 1 : 2)

const costOf = ({ key, bytes }: MemorySlot, eviction: string): number =>
  bytes + characters(key) + slotBytes + (eviction === 'lfu' ? 16 : 0)

const costOfTags = (slots: readonly MemorySlot[]): number => {
  const links = slots.flatMap(({ tags }) => [...new Set(tags)])
  return [...new Set(links)].reduce((sum, tag) => sum + tagBytes + characters(tag), links.length * taggedBytes)
}

const fill = (tier: MemoryTier, keys: Iterable<string>): void => {
  for (const key of keys) expect(tier.set(slot(key))).toBe(true)
}

const ask = (tier: MemoryTier, keys: Iterable<string>): void => {
  for (const key of keys) expect(tier.get(key)?.key).toBe(key)
}

/** For so many slots of a key of one character and 100 bytes. */
const roomFor = (slots: number, eviction: (typeof evictions)[number] = 'sieve'): MemoryTier =>
  createMemoryTier({ maxBytes: slots * costOf(slot('a'), eviction), eviction })

describe.each(evictions)('a memory tier of the kind %s', (eviction) => {
  test('gives what was set, until it is deleted', () => {
    const tier = roomFor(3, eviction)
    const given = slot('a', 100, { loadedAtMs: 1.5, freshUntilMs: 2.5, keptUntilMs: 3.5, tags: ['t'] })
    expect(tier.set({ ...given })).toBe(true)
    expect(tier.get('a')).toMatchObject(given)
    expect(tier.get('a')?.value).toBe(given.value)
    expect(tier.get('b')).toBeUndefined()
    expect([tier.delete('a'), tier.delete('a'), tier.get('a')]).toEqual([true, false, undefined])
    expect([tier.size, tier.bytes, tier.evictions]).toEqual([0, 0, 0])
  })

  test('R41, C35, CACHE-7: is never above its bound, counts exactly, and holds what a map would but for evictions', () => {
    const key = fc.constantFrom(...'abcdefghijklmnop', 'a longer key', 'kľúč', '')
    const tags = fc.array(fc.constantFrom('x', 'y', 'user:1', 'ž'), { maxLength: 3 })
    const action = fc.oneof(
      {
        weight: 40,
        arbitrary: fc.record({ do: fc.constant('set' as const), key, bytes: fc.nat(900), tags, keptUntilMs: fc.nat(100) }),
      },
      { weight: 40, arbitrary: fc.record({ do: fc.constant('get' as const), key }) },
      { weight: 10, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
      { weight: 5, arbitrary: fc.record({ do: fc.constant('deleteTag' as const), tag: fc.constantFrom('x', 'user:1', 'none') }) },
      { weight: 5, arbitrary: fc.record({ do: fc.constant('sweep' as const), nowMs: fc.nat(100), most: fc.nat(8) }) },
      { weight: 5, arbitrary: fc.record({ do: fc.constant('resize' as const), maxBytes: fc.nat(6000) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
    )
    const run = (actions: readonly (typeof action extends fc.Arbitrary<infer A> ? A : never)[], maxEntries: number): void => {
      const tier = createMemoryTier({ maxBytes: 4000, maxEntries, eviction })
      const held = new Map<string, MemorySlot>()
      /** What the tier no longer has was evicted, or the model is wrong about it. */
      const evicted = (before: number): void => {
        const kept = new Set(tier.keys())
        let gone = 0
        for (const one of held.keys()) if (!kept.has(one) && held.delete(one)) gone++
        expect(tier.evictions - before).toBe(gone)
      }
      for (const act of actions) {
        const before = tier.evictions
        if (act.do === 'set') {
          const given = slot(act.key, act.bytes, act)
          const fits = costOf(given, eviction) + costOfTags([given]) <= tier.maxBytes
          const others = held.size - (held.has(act.key) ? 1 : 0)
          expect(tier.set(given)).toBe(fits)
          held.delete(act.key)
          if (!fits) expect([tier.size, tier.evictions]).toEqual([others, before])
          if (fits) held.set(act.key, given)
          evicted(before)
          if (fits) expect(held.get(act.key)).toBe(given)
        } else if (act.do === 'get') {
          expect(tier.get(act.key)?.value).toBe(held.get(act.key)?.value)
        } else if (act.do === 'delete') {
          expect(tier.delete(act.key)).toBe(held.delete(act.key))
        } else if (act.do === 'deleteTag') {
          const tagged = [...held.values()].filter((one) => one.tags.includes(act.tag))
          expect(tier.deleteTag(act.tag)).toBe(tagged.length)
          for (const one of tagged) held.delete(one.key)
        } else if (act.do === 'sweep') {
          const size = tier.size
          const went = tier.sweep(act.nowMs, act.most)
          expect(went).toBeLessThanOrEqual(Math.min(act.most, size))
          if (act.most >= size) expect(went).toBe([...held.values()].filter((one) => one.keptUntilMs <= act.nowMs).length)
          const kept = new Set(tier.keys())
          for (const one of [...held.values()].filter(({ key: name }) => !kept.has(name))) {
            expect(one.keptUntilMs).toBeLessThanOrEqual(act.nowMs)
            held.delete(one.key)
          }
          expect(tier.size).toBe(size - went)
        } else if (act.do === 'resize') {
          tier.resize(act.maxBytes)
          evicted(before)
        } else {
          expect(tier.clear()).toBe(held.size)
          held.clear()
        }
        expect(new Set(tier.keys())).toEqual(new Set(held.keys()))
        expect(tier.size).toBe(held.size)
        expect(tier.size).toBeLessThanOrEqual(maxEntries)
        const slots = [...held.values()]
        expect(tier.bytes).toBe(slots.reduce((sum, one) => sum + costOf(one, eviction), 0) + costOfTags(slots))
        expect(tier.bytes).toBeLessThanOrEqual(tier.maxBytes)
      }
      for (const tag of ['x', 'y', 'user:1', 'ž']) {
        const tagged = [...held.values()].filter((one) => one.tags.includes(tag))
        expect(tier.deleteTag(tag)).toBe(tagged.length)
        for (const one of tagged) held.delete(one.key)
      }
      expect(tier.sweep(101, 100)).toBe(held.size)
      expect([tier.size, tier.bytes]).toEqual([0, 0])
    }
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120, size: 'max' }), fc.constantFrom(3, 8, Number.POSITIVE_INFINITY), run),
      {
        numRuns: 50,
      },
    )
  })

  test('refuses what is larger than itself without evicting others, and forgets what the key had', () => {
    const tier = roomFor(3, eviction)
    fill(tier, 'abc')
    expect(tier.set(slot('d', tier.maxBytes))).toBe(false)
    expect([...tier.keys()].join('')).toBe('abc')
    expect(tier.set(slot('b', tier.maxBytes))).toBe(false)
    expect([...tier.keys()].join('')).toBe('ac')
    expect(tier.evictions).toBe(0)
  })

  test.each([Number.NaN, -1, Number.POSITIVE_INFINITY])('refuses a value of %s bytes', (bytes) => {
    const tier = roomFor(3, eviction)
    expect(tier.set(slot('a', bytes))).toBe(false)
    expect([tier.size, tier.bytes]).toEqual([0, 0])
  })

  test('keeps nothing where it may take no bytes', () => {
    const tier = createMemoryTier({ maxBytes: 0, eviction })
    expect([tier.set(slot('a', 0)), tier.size]).toEqual([false, 0])
  })

  test('evicts at once when it is made smaller', () => {
    const tier = roomFor(100, eviction)
    fill(
      tier,
      Array.from({ length: 100 }, (_, i) => String.fromCharCode(33 + i)).filter((one) => Buffer.byteLength(one) === 1),
    )
    const before = tier.size
    tier.resize(tier.maxBytes / 10)
    expect(tier.size).toBe(10)
    expect(tier.evictions).toBe(before - 10)
    tier.resize(tier.maxBytes * 10)
    expect(tier.set(slot('!', 3000))).toBe(true)
  })

  test('R46: sweeps a few at a time, and sees each in one round though others come, go and are used', () => {
    const tier = roomFor(60, eviction)
    const keys = [...'abcdefghijklmnopqrst']
    for (const [at, key] of keys.entries()) tier.set(slot(key, 100, { keptUntilMs: at % 2 === 0 ? 10 : 99 }))
    let went = 0
    for (let call = 0; call < 12; call++) {
      went += tier.sweep(10, 2)
      tier.delete('t')
      tier.get('b')
      tier.set(slot(String.fromCharCode(65 + call)))
    }
    expect(went).toBe(10)
    expect([...tier.keys()].filter((key) => key >= 'a').join('')).toBe('bdfhjlnpr')
    expect(tier.sweep(100, 1000)).toBe(21)
  })
})

describe('sieve', () => {
  test('takes the oldest that nobody used, and lets what was used stay where it is', () => {
    const tier = roomFor(5)
    fill(tier, 'abcde')
    ask(tier, 'ab')
    fill(tier, 'f')
    expect([...tier.keys()].join('')).toBe('abdef')
    // The hand stands at d: a and b, behind it, have lost their marks and are safe until it comes round.
    fill(tier, 'gh')
    expect([...tier.keys()].join('')).toBe('abfgh')
    ask(tier, 'f')
    fill(tier, 'ij')
    expect([...tier.keys()].join('')).toBe('abfij')
    ask(tier, 'ij')
    fill(tier, 'k')
    expect([...tier.keys()].join('')).toBe('bfijk')
  })

  test('starts again at the oldest once the hand has passed the newest', () => {
    const tier = roomFor(3)
    fill(tier, 'abc')
    ask(tier, 'abc')
    fill(tier, 'd')
    expect([...tier.keys()].join('')).toBe('bcd')
  })

  test('does as the algorithm says, step by step', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.constantFrom(...'abcdefghij'), { maxLength: 80, size: 'max' }),
        (room, asked) => {
          const tier = roomFor(room)
          // The paper's, over an array from new to old.
          const queue: { key: string; visited: boolean }[] = []
          let hand: { key: string; visited: boolean } | undefined
          for (const key of asked) {
            const known = queue.find((one) => one.key === key)
            expect(tier.get(key) !== undefined).toBe(known !== undefined)
            if (known !== undefined) {
              known.visited = true
              continue
            }
            if (queue.length === room) {
              let at = hand === undefined ? queue.length - 1 : queue.indexOf(hand)
              while (queue[at]!.visited) {
                queue[at]!.visited = false
                at = at === 0 ? queue.length - 1 : at - 1
              }
              hand = queue[at - 1]
              queue.splice(at, 1)
            }
            queue.unshift({ key, visited: false })
            tier.set(slot(key))
            expect(new Set(tier.keys())).toEqual(new Set(queue.map((one) => one.key)))
          }
        },
      ),
    )
  })

  test('leaves a new value of a key in its place, with its mark', () => {
    const tier = roomFor(3)
    fill(tier, 'abc')
    ask(tier, 'a')
    fill(tier, 'ab')
    fill(tier, 'd')
    expect([...tier.keys()].join('')).toBe('acd')
  })
})

describe('lru', () => {
  test('R41: takes what was not used for longest; a new value is a use', () => {
    const tier = roomFor(4, 'lru')
    fill(tier, 'abcd')
    ask(tier, 'a')
    fill(tier, 'b')
    fill(tier, 'ef')
    expect([...tier.keys()].sort().join('')).toBe('abef')
  })
})

describe('lfu', () => {
  test('keeps what is asked for now and then through a scan of what is asked for once', () => {
    const misses = (eviction: 'lfu' | 'lru'): number => {
      const tier = createMemoryTier({ maxBytes: 1e6, maxEntries: 100, eviction })
      const popular = Array.from({ length: 50 }, (_, at) => `popular ${at}`)
      let missed = 0
      const look = (key: string): void => {
        if (tier.get(key) !== undefined) return
        missed++
        tier.set(slot(key))
      }
      for (let at = 0; at < 5000; at++) {
        if (at % 200 === 0) popular.forEach(look)
        look(`scan ${at}`)
      }
      return missed - 5000
    }
    expect(misses('lru')).toBe(25 * 50)
    expect(misses('lfu')).toBeLessThan(4 * 50)
  })

  test('C35: forgets what was popular once', () => {
    const tier = roomFor(20, 'lfu')
    fill(tier, 'abcdefghij')
    for (let round = 0; round < 15; round++) ask(tier, 'abcdefghij')
    const later = [...'klmnopqrstuvwxyzKLMNOPQRST']
    for (let round = 0; round < 400; round++) for (const key of later) if (tier.get(key) === undefined) tier.set(slot(key))
    expect([...tier.keys()].filter((key) => 'abcdefghij'.includes(key))).toEqual([])
  })
})

test('a tag finds its slots and no others, whatever comes and goes', () => {
  const tier = roomFor(50)
  tier.set(slot('a', 0, { tags: ['u1', 'u1', 'team'] }))
  tier.set(slot('b', 0, { tags: ['u2', 'team'] }))
  tier.set(slot('c', 0, { tags: ['u1'] }))
  tier.set(slot('c', 0, { tags: ['u3'] }))
  expect(tier.get('a')?.tags).toEqual(['u1', 'team'])
  expect([tier.deleteTag('u1'), tier.deleteTag('team'), tier.deleteTag('team'), tier.size]).toEqual([1, 1, 0, 1])
})

test('a slot without tags costs the tag index nothing', () => {
  const tier = roomFor(1)
  expect(tier.set(slot('a'))).toBe(true)
  expect(tier.bytes).toBe(tier.maxBytes)
})

test('a slot that somebody still holds stays as it was when its key gets another value', () => {
  const tier = roomFor(3)
  fill(tier, 'abc')
  const held = tier.get('b')
  tier.set(slot('b', 7))
  expect(held).toMatchObject({ key: 'b', bytes: 100 })
  expect(tier.get('b')).not.toBe(held)
  expect(held).toMatchObject({ older: null, newer: null })
})

test.each([{ maxBytes: Number.NaN }, { maxBytes: -1 }, { maxBytes: 10, maxEntries: 0 }])(
  'bounds that bound nothing are refused: %j',
  (options) => {
    expect(() => createMemoryTier(options)).toThrow(expect.objectContaining({ code: 'TM_CONFIG_BAD_VALUE' }))
  },
)

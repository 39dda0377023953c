import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AnyRow } from '../schema.js'
import { LiveRows } from './live-rows.js'
import { type LiveSpec, resolveSpec } from './live-spec.js'
import { compareRows, matchRow } from './match-row.js'

interface Note {
  readonly id: number
  readonly done: boolean
  readonly rank: number | null
  readonly text: string
}

const note = fc.record({
  id: fc.integer({ min: 1, max: 12 }),
  done: fc.boolean(),
  rank: fc.option(fc.integer({ min: 0, max: 4 })),
  text: fc.constantFrom('a', 'b', '\u{1f30a}', '\ufb01'),
})
const spec = fc.record(
  {
    where: fc.constantFrom<NonNullable<LiveSpec<Note>['where']>>(
      {},
      { done: false },
      { rank: { gte: 1, lt: 4 } },
      { rank: null },
      { id: { in: [1, 3, 5, 7] } },
      { text: { neq: 'a' } },
    ),
    order: fc.constantFrom<NonNullable<LiveSpec<Note>['order']>>(
      { rank: 'asc' },
      { rank: 'desc' },
      { text: 'desc', rank: 'asc' },
      { id: 'desc' },
    ),
    limit: fc.constantFrom(1, 2, 3, 5),
  },
  { requiredKeys: [] },
)
const step = fc.oneof({ weight: 4, arbitrary: note }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 12 }) })

describe('the rows of a live query', () => {
  test('after any changes they are what asking anew would give, or say that asking is needed', () => {
    fc.assert(
      fc.property(spec, fc.array(note, { maxLength: 8 }), fc.array(step, { maxLength: 40 }), (given, first, steps) => {
        const resolved = resolveSpec('notes', given as LiveSpec)
        const table = new Map<number, AnyRow>(first.map((row) => [row.id, { ...row }]))
        const asked = () => {
          const all = [...table.values()].filter((row) => matchRow(resolved, row)).sort((a, b) => compareRows(resolved, a, b))
          const rows = all.slice(0, resolved.limit)
          return { rows, more: resolved.limit !== undefined && rows.length === resolved.limit }
        }
        const rows = new LiveRows(resolved)
        const read = () => rows.reset(asked().rows, asked().more)
        read()
        for (const change of steps) {
          if (typeof change === 'number') table.delete(change)
          else table.set(change.id, { ...change })
          const applied = rows.apply(
            typeof change === 'number' ? { kind: 'gone', row: { id: change } } : { kind: 'put', row: { ...change } },
          )
          // What is known stays right until it is read anew: the first of what there is.
          expect(rows.list()).toEqual(asked().rows.slice(0, rows.list().length))
          if (applied === 'short') read()
          expect(rows.list()).toEqual(asked().rows)
        }
      }),
    )
  })

  test('a row that is as it was stays the same object, however it is told again', () => {
    const rows = new LiveRows(resolveSpec('notes', {}))
    rows.reset([{ id: 1, tags: ['a'] }], false)
    const [before] = rows.list()
    expect(rows.apply({ kind: 'put', row: { id: 1, tags: ['a'] } })).toBe('same')
    rows.reset([{ id: 1, tags: ['a'] }], false)
    expect(rows.list()[0]).toBe(before)
  })

  test('what lies within a full window is known without asking', () => {
    const rows = new LiveRows(resolveSpec('notes', { order: { rank: 'asc' }, limit: 2 }))
    const put = (id: number, rank: number) => rows.apply({ kind: 'put', row: { id, rank } })
    rows.reset(
      [
        { id: 1, rank: 1 },
        { id: 2, rank: 9 },
      ],
      true,
    )
    expect([put(2, 5), put(3, 7), put(2, 4), put(2, 4)]).toEqual(['changed', 'same', 'changed', 'same'])
    expect([put(4, 0), put(1, 8)]).toEqual(['changed', 'short'])
  })

  test('what an update did not tell is what it was; of a row that is not known that cannot be said', () => {
    const rows = new LiveRows(resolveSpec('notes', {}))
    rows.reset([{ id: 1, title: 'a', body: 'long' }], false)
    expect(rows.apply({ kind: 'put', partial: true, row: { id: 1, title: 'b' } })).toBe('changed')
    expect(rows.list()).toEqual([{ id: 1, title: 'b', body: 'long' }])
    expect(rows.apply({ kind: 'put', partial: true, row: { id: 2, title: 'b' } })).toBe('short')
    expect(rows.apply({ kind: 'unknown' })).toBe('short')
  })

  test('moments are in their order, in whatever zone they are written', () => {
    const { order } = resolveSpec('notes', { order: { at: 'asc' } })
    const row = (at: string): AnyRow => ({ id: 1, at })
    const earlier = row('2026-01-01T10:00:00.9+02:00')
    expect(compareRows({ order }, earlier, row('2026-01-01T08:00:01+00:00'))).toBeLessThan(0)
    expect(compareRows({ order }, earlier, row('2026-01-01T08:00:00.900000Z'))).toBe(0)
    expect(compareRows({ order }, row('2026-01-01T08:00:00.12+00:00'), row('2026-01-01T08:00:00.2+00:00'))).toBeLessThan(0)
    expect(compareRows({ order }, row('2026-01-01T08:00:00+00:00'), row('2026-01-01T08:00:00.5+00:00'))).toBeLessThan(0)
    expect(compareRows({ order }, row('2026-01-01T08:00:01+00:00'), row('2026-01-01T08:00:00+00:00'))).toBeGreaterThan(0)
  })

  test('rows without the key that is named are refused in words', () => {
    expect(() => new LiveRows(resolveSpec('tours', {})).reset([{ tour_id: 1 }], false)).toThrow('has no id: name the primary key')
  })
})

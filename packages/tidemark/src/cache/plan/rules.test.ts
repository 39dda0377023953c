import { describe, expect, it } from 'vitest'
import type { Change, Relation } from '../../feed/feed.js'
import type { FromRule } from '../cache.js'
import { parseTemplate } from './key-template.js'
import { Rules } from './rules.js'

const relation = (identity: Relation['identity'] = 'default'): Relation => ({
  oid: 1,
  schema: 'public',
  table: 'messages',
  identity,
  columns: ['id', 'session_id', 'author', 'body'].map((name) => ({
    name,
    typeOid: 25,
    typeModifier: -1,
    isKey: identity === 'full' || name === 'id',
  })),
})

const update = (old: Change['old'], now: Change['new'], identity?: Relation['identity']): Change =>
  ({ kind: 'update', relation: relation(identity), old, new: now }) as Change

const found = (
  template: string,
  from: Readonly<Record<string, FromRule | readonly FromRule[]>>,
  ...changes: readonly Change[]
) => {
  const parsed = parseTemplate(template)
  const rules = new Rules([{ name: 'entry', template: parsed, from, forms: parsed.names.map(() => 'text') }])
  const { keys, tags, entries } = rules.evictionsOf({ changes })
  return { keys: [...keys.keys()], tags: [...(tags.get('entry') ?? [])], whole: entries.has('entry') }
}

const none = { keys: [], tags: [], whole: false }
const bySession = { messages: 'session_id' }

describe('a rule', () => {
  it('takes the keys of the old and of the new row', () => {
    expect(found('m:{s}', bySession, update(['1', 'a', 'x', 't'], ['1', 'b', 'x', 't'], 'full'))).toEqual({
      ...none,
      keys: ['m:a', 'm:b'],
    })
    expect(found('m:{s}', bySession, { kind: 'insert', relation: relation(), old: null, new: ['1', 'a', 'x', 't'] })).toEqual({
      ...none,
      keys: ['m:a'],
    })
    expect(
      found('m:{s}', bySession, { kind: 'delete', relation: relation('full'), old: ['1', 'a', 'x', 't'], new: null }),
    ).toEqual({
      ...none,
      keys: ['m:a'],
    })
  })

  it('takes everything where an old row does not tell', () => {
    expect(found('m:{s}', bySession, update(null, ['1', 'a', 'x', 't']))).toEqual({ ...none, whole: true })
    expect(
      found('m:{s}', bySession, { kind: 'delete', relation: relation(), old: ['1', undefined, undefined, undefined], new: null }),
    ).toEqual({
      ...none,
      whole: true,
    })
    // The identity stayed the same, and is all that makes the key.
    expect(found('m:{id}', { messages: 'id' }, update(null, ['1', 'a', 'x', 't']))).toEqual({ ...none, keys: ['m:1'] })
  })

  it('knows a large value that an update did not touch from the old row', () => {
    const from = { messages: 'body' }
    expect(found('m:{b}', from, update(['1', 'a', 'x', 'long'], ['1', 'a', 'y', undefined], 'full'))).toEqual({
      ...none,
      keys: ['m:long'],
    })
    expect(found('m:{b}', from, update(['1', undefined, undefined, undefined], ['2', 'a', 'y', undefined]))).toEqual({
      ...none,
      whole: true,
    })
  })

  it('takes a column for each name', () => {
    const from = { messages: { s: 'session_id', a: 'author' } }
    expect(found('m:{a}:{s}', from, update(['1', 's1', 'a1', 't'], ['1', 's1', 'a2', 't'], 'full')).keys).toEqual([
      'm:a1:s1',
      'm:a2:s1',
    ])
    expect(found('m:{a}:{s}', from, update(['1', 's1', null, 't'], ['1', 's1', 'a2', 't'], 'full')).keys).toEqual(['m:a2:s1'])
  })

  it('takes tags made of columns', () => {
    const from = { messages: { tag: 'by:{author}/{session_id}' } }
    expect(found('m:{s}', from, update(['1', 's1', 'a1', 't'], ['1', 's2', 'a1', 't'], 'full'))).toEqual({
      ...none,
      tags: ['by:a1/s1', 'by:a1/s2'],
    })
    expect(
      found('m:{s}', { messages: { tag: 'all' } }, update(['1', 's1', 'a1', 't'], ['1', 's2', 'a1', 't'], 'full')).tags,
    ).toEqual(['all'])
    // A template with a name `tag` means a column.
    expect(
      found('m:{tag}', { messages: { tag: 'author' } }, update(['1', 's', 'a', 't'], ['1', 's', 'a', 't'], 'full')).keys,
    ).toEqual(['m:a'])
  })

  it('takes a whole entry at any change of a table, and where only the table is told', () => {
    expect(found('m:{s}', { messages: true }, update(['1', 's', 'a', 't'], ['1', 's', 'a', 't'], 'full')).whole).toBe(true)
    for (const kind of ['truncate', 'changed'] as const)
      expect(found('m:{s}', bySession, { kind, relation: relation(), old: null, new: null }).whole).toBe(true)
  })

  it('leaves alone what it does not follow', () => {
    expect(found('m:{s}', { others: 'id' }, update(null, ['1', 'a', 'x', 't']))).toEqual(none)
    const long = 'x'.repeat(5000)
    expect(found('m:{s}', bySession, update(['1', long, 'x', 't'], ['1', long, 'x', 't'], 'full'))).toEqual(none)
  })

  it('may be one of several for a table', () => {
    const from = { messages: ['session_id', { tag: 'by:{author}' }] as const }
    expect(found('m:{s}', from, update(['1', 'a', 'x', 't'], ['1', 'a', 'x', 't'], 'full'))).toEqual({
      ...none,
      keys: ['m:a'],
      tags: ['by:x'],
    })
  })
})

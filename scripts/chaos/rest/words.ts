/** What requests are made of: names that there are, values, and what nobody is called. */
import fc from 'fast-check'
import type { Words } from '../../../packages/tidemark/dist/rest/testing/query-strings.js'
import { type Dice, oneOf } from '../random.ts'
import { owners, tables } from './schema.ts'

/** Stands in every word that is nobody's name: none of it may ever be in a statement. */
export const mark = 'zqx'

export const columns = [
  ...[
    'id',
    'owner',
    'name',
    'note',
    'mood',
    'home',
    'tags',
    'data',
    'raw',
    'span',
    'born',
    'score',
    'boss_id',
    'odd "name',
    'at',
  ],
  ...[
    'maker_id',
    'keeper_id',
    'price',
    'code',
    'numbers',
    'words',
    'double',
    'item_id',
    'group_id',
    'person_id',
    'label',
    'loud',
  ],
  ...['select', 'a.b', 'ä🐘', 'order', '$1', "it's ; --", 'bytes', 'flags', 'during', 'first_item', 'people', 'items'],
] as const
export const relations = [
  ...tables,
  'first_item',
  'peers',
  'things',
  'maker_id',
  'boss_id',
  'items_maker_id_fkey',
  'people',
] as const
const hints = [
  'items_maker_id_fkey',
  'keeper_id',
  'maker_id',
  'item_groups',
  'boss_id',
  'people_boss_id_fkey',
  'inner',
  'left',
] as const
export const types = [
  'text',
  'int',
  'numeric(10,2)',
  'jsonb',
  'json',
  'date',
  'uuid',
  'bool',
  'text[]',
  'api.mood',
  'mood',
  'bytea',
  'xml',
] as const
export const functions = [
  ...['mine', 'find_items', 'notes', 'one_person', 'add', 'total', 'echo', 'echo_text', 'echo_bytes', 'all_kinds', 'add_group'],
  ...['touch', 'rows_of', 'claims', 'label', 'first_item', 'peers'],
] as const
export const argumentNames = 'wanted most id a b numbers i t j d l m name kind select order'.split(' ')

/** What each function is called with. */
export const signatures: Readonly<Record<string, readonly string[]>> = {
  find_items: ['wanted', 'most'],
  one_person: ['id'],
  add: ['a', 'b'],
  total: ['numbers'],
  all_kinds: ['i', 't', 'j', 'd', 'l', 'm'],
  add_group: ['id', 'name'],
  rows_of: ['kind'],
}
export const plainValues = [
  ...[
    '1',
    '2',
    '0',
    '-1',
    '11',
    '12',
    'null',
    'true',
    '%',
    '*',
    'x',
    '2020-01-01',
    '{1,2}',
    '{a,b}',
    '[1,5)',
    '{"k": 1}',
    '3.5',
    'calm',
    '',
  ],
  ...[owners.ann.id, owners.bob.id, '99999999999999999999', '1e400', 'NaN', '{"a', '(', "it's", 'a&b|!c', '\\', '\u0000', '🐘'],
] as const

/** What breaks statements that are glued together, with the mark in it. */
const attacks = [
  `${mark}'; drop table api.items; --`,
  `${mark}"; drop table api.items; --`,
  `${mark}') or 1=1 --`,
  `${mark}\\'; select 1; --`,
  `$$${mark}$$`,
  `$1${mark}`,
  `/*${mark}*/`,
  `${mark}"."x`,
  `E'${mark}`,
  `U&"${mark}\\0061"`,
  `${mark}\n\r\t;`,
  `${mark}%s%I`,
  `::${mark}`,
  `${mark})::int`,
  `pg_sleep(9)--${mark}`,
  `${mark}'||(select note from api.items limit 1)||'`,
] as const

export const word = (dice: Dice): string =>
  dice() < 0.5 ? oneOf(dice, attacks) : `${mark}${Math.floor(dice() * 1e6).toString(36)}`

export const mostly = <T extends string>(dice: Dice, real: readonly T[], share = 0.9): string =>
  dice() < share ? oneOf(dice, real) : word(dice)

const anyOf = (values: readonly string[], share: number): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: share, arbitrary: fc.constantFrom(...values) },
    { weight: 1, arbitrary: fc.constantFrom(...attacks) },
    { weight: 1, arbitrary: fc.integer({ min: 0 }).map((n) => `${mark}${n.toString(36)}`) },
  )

export const words: Words = {
  columns: anyOf(columns, 12),
  relations: anyOf([...relations, ...hints], 12),
  types: anyOf(types, 8),
  values: anyOf(plainValues, 6),
}

export const name = (text: string): string => (/^[a-z_]+$/.test(text) ? text : `"${text.replace(/[\\"]/g, '\\$&')}"`)
export const column = (dice: Dice): string => name(mostly(dice, dice() < 0.6 ? columns.slice(0, 4) : columns, 0.96))

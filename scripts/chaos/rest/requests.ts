/** Requests as nobody means them: sound ones, nearly sound ones and noise, at every place where a caller's text can stand. */
import fc from 'fast-check'
import type { RestHttpRequest } from '../../../packages/tidemark/dist/rest/rest.js'
import { queryStrings, type Words } from '../../../packages/tidemark/dist/rest/testing/query-strings.js'
import { between, type Dice, oneOf } from '../random.ts'
import { owners, tables } from './schema.ts'

/** Stands in every word that is nobody's name: none of it may ever be in a statement. */
export const mark = 'zqx'

const columns = [
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
const relations = [...tables, 'first_item', 'peers', 'things', 'maker_id', 'boss_id', 'items_maker_id_fkey', 'people'] as const
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
const types = [
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
const functions = [
  ...['mine', 'find_items', 'notes', 'one_person', 'add', 'total', 'echo', 'echo_text', 'echo_bytes', 'all_kinds', 'add_group'],
  ...['touch', 'rows_of', 'claims', 'label', 'first_item', 'peers'],
] as const
const argumentNames = 'wanted most id a b numbers i t j d l m name kind select order'.split(' ')

/** What each function is called with. */
const signatures: Readonly<Record<string, readonly string[]>> = {
  find_items: ['wanted', 'most'],
  one_person: ['id'],
  add: ['a', 'b'],
  total: ['numbers'],
  all_kinds: ['i', 't', 'j', 'd', 'l', 'm'],
  add_group: ['id', 'name'],
  rows_of: ['kind'],
}
const plainValues = [
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

const word = (dice: Dice): string => (dice() < 0.5 ? oneOf(dice, attacks) : `${mark}${Math.floor(dice() * 1e6).toString(36)}`)

const mostly = <T extends string>(dice: Dice, real: readonly T[], share = 0.9): string =>
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

const name = (text: string): string => (/^[a-z_]+$/.test(text) ? text : `"${text.replace(/[\\"]/g, '\\$&')}"`)
const column = (dice: Dice): string => name(mostly(dice, dice() < 0.6 ? columns.slice(0, 4) : columns, 0.96))

/** What a relation has besides the columns that all have, and what leads on from it. */
interface Shape {
  readonly columns: readonly string[]
  readonly related: readonly string[]
}

const itemShape: Shape = {
  columns: ['id', 'maker_id', 'data', 'tags', 'label'],
  related: ['people!maker_id', 'maker_id', 'groups'],
}
const shapes: Readonly<Record<string, Shape>> = {
  people: {
    columns: [
      'id',
      'mood',
      'home',
      'tags',
      'data',
      'raw',
      'span',
      'born',
      'score',
      'odd "name',
      'at',
      'bytes',
      'flags',
      'during',
    ],
    related: ['items!maker_id', 'items!keeper_id', 'first_item', 'peers', 'cards', 'boss:people!boss_id', 'boss_id'],
  },
  items: {
    columns: [...itemShape.columns, 'price', 'code', 'numbers', 'words', 'double', 'keeper_id'],
    related: ['people!maker_id', 'people!keeper_id', 'maker_id', 'groups', 'item_groups', `"odd 'tab\\"le (x)"`],
  },
  groups: { columns: ['id'], related: ['items', 'item_groups'] },
  item_groups: { columns: ['item_id', 'group_id'], related: ['items', 'groups'] },
  cards: { columns: ['person_id'], related: ['people'] },
  shelves: { columns: ['id'], related: [] },
  my_items: { columns: ['id', 'maker_id', 'price', 'data', 'loud'], related: ['people', 'item_groups'] },
  guarded: itemShape,
  [`odd 'tab"le (x)`]: { columns: ['select', 'a.b', 'ä🐘', 'order', '$1', "it's ; --", 'item_id'], related: ['items'] },
}
const shapeOf = (relation: string): Shape => shapes[/^"?[^!"]+/.exec(relation.replace(/^\w+:/, ''))?.[0] ?? ''] ?? itemShape

/** Speaks of one relation. */
class Speaker {
  readonly #dice: Dice
  readonly #shape: Shape

  constructor(dice: Dice, shape: Shape) {
    this.#dice = dice
    this.#shape = shape
  }

  #column(): string {
    const dice = this.#dice
    if (dice() < 0.06) return mostly(dice, columns, 0.5)
    return oneOf(dice, dice() < 0.5 ? ['name', 'note', 'owner'] : this.#shape.columns)
  }

  #field(plain: string): string {
    const dice = this.#dice
    const inside = /^(data|raw|home)$/.test(plain) ? dice() < 0.6 : dice() < 0.02
    return name(plain) + (inside ? `${oneOf(dice, ['->', '->>'])}${name(mostly(dice, ['k', 'n', 'l', '0', 'city'], 0.7))}` : '')
  }

  #value(plain: string): string {
    const dice = this.#dice
    if (dice() < 0.15) return mostly(dice, plainValues, 0.5)
    if (/id$|order|double|score|price/.test(plain)) return oneOf(dice, ['1', '2', '11', '12', '21', '31', '0'])
    if (plain === 'owner') return oneOf(dice, [owners.ann.id, owners.bob.id, owners.nobody.id])
    if (/^(tags|numbers)$/.test(plain)) return oneOf(dice, ['{1,2}', '{}', '{1}'])
    if (/^(span)$/.test(plain)) return oneOf(dice, ['[1,5)', 'empty'])
    if (/^(data)$/.test(plain)) return oneOf(dice, ['{"n": 1}', '[]', 'null', '1'])
    if (/^(born|at)$/.test(plain)) return oneOf(dice, ['2000-01-01', 'now', '2020-01-01T00:00:00Z'])
    return dice() < 0.5 ? oneOf(dice, ['%', '*', 'x', 'of*', 'calm', 'a&b']) : word(dice)
  }

  /** The column, and what it is compared with. */
  filter(): readonly [string, string] {
    const dice = this.#dice
    const plain = this.#column()
    const not = dice() < 0.15 ? 'not.' : ''
    const kind = dice()
    const asked = () => this.#value(plain)
    const to = (text: string): readonly [string, string] => [this.#field(plain), `${not}${text}`]
    if (kind < 0.15) return to(`in.(${[asked(), asked()].map(name).join(',')})`)
    if (kind < 0.25) return to(`is.${mostly(dice, ['null', 'not_null'], 0.9)}`)
    if (/^(name|note|words)$/.test(plain) && kind < 0.4)
      return to(`${oneOf(dice, ['plfts', 'wfts', 'fts'])}${oneOf(dice, ['', '(english)', `(${word(dice)})`])}.${asked()}`)
    if (/^(tags|numbers|data|span)$/.test(plain)) return to(`${oneOf(dice, ['cs', 'cd', 'ov', 'eq', 'sl'])}.${asked()}`)
    if (/^(name|note|code)$/.test(plain) && kind < 0.7)
      return to(`${oneOf(dice, ['like', 'ilike', 'match', 'imatch'])}.${asked()}`)
    if (kind < 0.75) return to(`${oneOf(dice, ['eq', 'like'])}(any).{${asked()}}`)
    return to(`${oneOf(dice, ['eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'isdistinct'])}.${asked()}`)
  }

  select(depth = 0): string {
    const dice = this.#dice
    return Array.from({ length: between(dice, 1, 3) }, () => {
      const kind = dice()
      const alias = dice() < 0.15 ? `${name(mostly(dice, ['x', 'y'], 0.5))}:` : ''
      if (kind < 0.2) return '*'
      if (kind < 0.45 && depth < 3) {
        const relation =
          dice() < 0.05 || this.#shape.related.length === 0
            ? name(mostly(dice, relations, 0.8))
            : oneOf(dice, this.#shape.related)
        const inner = dice() < 0.15 ? '!inner' : ''
        const before = dice() < 0.12 && !relation.includes(':') ? '...' : relation.includes(':') ? '' : alias
        return `${before}${relation}${inner}(${dice() < 0.04 ? '' : new Speaker(dice, shapeOf(relation)).select(depth + 1)})`
      }
      if (kind < 0.48) return `${alias}count()`
      const cast = dice() < 0.12 ? `::${mostly(dice, types)}` : ''
      if (kind < 0.53)
        return `${alias}${this.#field(this.#column())}.${oneOf(dice, ['max', 'min', 'count', 'sum', 'avg'])}()${cast}`
      return `${alias}${this.#field(this.#column())}${cast}`
    }).join(',')
  }

  term(): string {
    return `${this.#field(this.#column())}${oneOf(this.#dice, ['', '', '.desc', '.asc.nullsfirst', '.desc.nullslast'])}`
  }
}

/** Speaks of what there is, more often than not. */
const plausible = (dice: Dice, relation: string): string => {
  const speaker = new Speaker(dice, shapeOf(relation))
  const parts: (readonly [string, string])[] = []
  if (dice() < 0.7) parts.push(['select', speaker.select()])
  for (let left = between(dice, 0, 2); left > 0; left--) parts.push(speaker.filter())
  if (dice() < 0.15) {
    const conditions = [speaker.filter(), speaker.filter()].map(([key, text]) => `${key}.${text}`)
    parts.push([oneOf(dice, ['or', 'and', 'not.or']), `(${conditions.join(',')})`])
  }
  if (dice() < 0.3) parts.push(['order', dice() < 0.03 ? `name.${word(dice)}` : speaker.term()])
  if (dice() < 0.2) parts.push(['limit', mostly(dice, ['1', '3', '0', '-1'], 0.9)])
  if (dice() < 0.08) parts.push(['offset', mostly(dice, ['1', '0', '500'], 0.9)])
  if (dice() < 0.05)
    parts.push([`${name(oneOf(dice, relations))}.${oneOf(dice, ['name', 'order', 'limit', 'id'])}`, speaker.filter()[1]])
  if (dice() < 0.06) parts.push(['columns', `${column(dice)},${column(dice)}`])
  if (dice() < 0.06) parts.push(['on_conflict', mostly(dice, ['id', 'code', 'item_id,group_id'], 0.8)])
  return parts.map(([key, text]) => `${encodeURIComponent(key)}=${encodeURIComponent(text)}`).join('&')
}

const value = (dice: Dice): string => mostly(dice, plainValues, 0.8)

const json = (dice: Dice, depth = 0): unknown => {
  const kind = dice()
  if (kind < 0.5) return value(dice)
  if (kind < 0.65) return between(dice, -5, 20)
  if (kind < 0.75) return oneOf(dice, [null, true, false, 1e300, 0.1, owners.ann.id, owners.bob.id])
  if (depth > 3) return null
  if (kind < 0.85) return Array.from({ length: between(dice, 0, 3) }, () => json(dice, depth + 1))
  return Object.fromEntries(
    Array.from({ length: between(dice, 0, 3) }, () => [mostly(dice, columns, 0.7), json(dice, depth + 1)]),
  )
}

const fitting = (dice: Dice, key: string): unknown => {
  if (dice() < 0.2) return json(dice)
  if (/id$|order|^[abi]$|most/.test(key)) return between(dice, 1, 40)
  if (key === 'owner') return oneOf(dice, [owners.ann.id, owners.bob.id, null])
  if (/^(tags|numbers|l)$/.test(key)) return [1, 2]
  if (/^(name|note|t|kind|wanted)$/.test(key)) return word(dice)
  return oneOf(dice, [null, 1, '2020-01-01', '{}'])
}

const row = (dice: Dice, names: readonly string[]): unknown => {
  const keys = Array.from({ length: between(dice, 0, 4) }, () => mostly(dice, names, 0.98))
  return Object.fromEntries(keys.map((key) => [key, fitting(dice, key)]))
}

const bodyText = (dice: Dice, names: readonly string[]): string => {
  const kind = dice()
  if (kind < 0.65) return JSON.stringify(row(dice, names))
  if (kind < 0.9) {
    const one = row(dice, names)
    return JSON.stringify([one, dice() < 0.7 ? one : row(dice, names)])
  }
  if (kind < 0.92) return JSON.stringify(json(dice))
  if (kind < 0.95) return `${column(dice)},${column(dice)}\n${value(dice)},${value(dice)}\n`
  return oneOf(dice, [
    '',
    '[',
    '{"name": "\\ud800"}',
    '{"a":',
    '[{}, 1]',
    '{"id":1,"id":2}',
    '\ufeff{}',
    `{"${mark}\\u0000": 1}`,
    '[[[[[[]]]]]]',
    '{"id":01}',
  ])
}

const contentTypes = [
  ...[
    'application/json',
    'application/json',
    'application/json',
    'application/json',
    'application/json',
    'application/json',
    'application/json; charset=utf-8',
    'text/csv',
    'text/plain',
  ],
  ...['application/octet-stream', 'application/x-www-form-urlencoded', 'text/xml', `application/${mark}`, ''],
] as const
const accepts = [
  ...[
    '*/*',
    'application/json',
    'text/csv',
    'application/vnd.pgrst.object+json',
    'application/vnd.pgrst.array+json;nulls=stripped',
  ],
  ...['application/geo+json', 'application/vnd.pgrst.plan+text', 'application/vnd.pgrst.plan+json; options=analyze|verbose'],
  ...['text/plain', 'application/octet-stream', 'application/openapi+json', `text/${mark}, */*;q=0.1`, mark],
] as const
const preferences = [
  ...['return=representation', 'return=minimal', 'return=headers-only', 'count=exact', 'count=planned', 'count=estimated'],
  ...['resolution=merge-duplicates', 'resolution=ignore-duplicates', 'missing=default', 'tx=rollback', 'handling=strict'],
  ...['handling=lenient', 'max-affected=1', 'timezone=Europe/Berlin', `timezone=${mark}'`, `${mark}=1`, 'params=single-object'],
] as const

const headersOf = (dice: Dice, writes: boolean): Record<string, string> => {
  const headers: Record<string, string> = { 'x-test': word(dice) }
  if (writes) headers['content-type'] = oneOf(dice, contentTypes)
  if (dice() < 0.15) headers['accept'] = oneOf(dice, accepts)
  const some = Array.from({ length: between(dice, 0, 3) }, () => oneOf(dice, preferences))
  if (writes && dice() < 0.5) some.push('return=representation')
  if (some.length > 0) headers['prefer'] = some.join(', ')
  if (dice() < 0.05) headers['range'] = oneOf(dice, ['0-1', '1-', '5-2', '-1', `${mark}-1`, '0-99999999999999999999'])
  if (dice() < 0.06) {
    const profile = oneOf(dice, ['other', 'hidden', 'auth', 'pg_catalog', 'api', `api"${mark}`, ''])
    headers[oneOf(dice, ['accept-profile', 'content-profile'])] = profile
  }
  if (dice() < 0.05) headers['cookie'] = `a=${mark}; ${value(dice).replaceAll('\u0000', '')}`
  return headers
}

interface Call {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly body: string | undefined
}

const call = (dice: Dice): Call => {
  const called = mostly(dice, functions, 0.97)
  const path = `/rpc/${encodeURIComponent(called)}`
  const method = oneOf(dice, ['GET', 'GET', 'GET', 'POST', 'POST', 'POST', 'HEAD', 'PATCH'])
  const names = dice() < 0.85 ? (signatures[called] ?? []) : [mostly(dice, argumentNames, 0.95)]
  const filters = dice() < 0.4 ? plausible(dice, 'items') : ''
  if (method === 'POST') {
    const args = Object.fromEntries(names.map((key) => [key, fitting(dice, key)]))
    return { path, method, query: filters, body: dice() < 0.7 ? JSON.stringify(args) : bodyText(dice, argumentNames) }
  }
  const args = names.map((key) => [key, String(fitting(dice, key))].map(encodeURIComponent).join('='))
  return { path, method, query: [...args, filters].filter(Boolean).join('&'), body: undefined }
}

export const roles = ['anon', 'ann', 'bob', 'service'] as const
export type Role = (typeof roles)[number]

export interface ChaosRequest {
  readonly role: Role
  readonly http: RestHttpRequest
}

const writing = ['POST', 'PATCH', 'DELETE', 'PUT'] as const

const request = (dice: Dice, noise: string): ChaosRequest => {
  const role = oneOf(dice, roles)
  if (dice() < 0.15) {
    const { body, ...rest } = call(dice)
    return {
      role,
      http: { ...rest, headers: headersOf(dice, body !== undefined), body: body === undefined ? undefined : Buffer.from(body) },
    }
  }
  const method = dice() < 0.7 ? 'GET' : dice() < 0.9 ? oneOf(dice, writing) : oneOf(dice, ['HEAD', 'OPTIONS', 'TRACE'])
  const writes = /^P/.test(method)
  const relation = mostly(dice, tables, 0.98)
  const path =
    dice() < 0.98 ? `/${encodeURIComponent(relation)}` : oneOf(dice, ['', '/', '/%', '/a/b', `/%22${mark}`, '/rpc', '/%00'])
  const query = dice() < 0.7 ? plausible(dice, relation) : noise
  const body = writes ? Buffer.from(bodyText(dice, ['name', 'note', 'owner', ...shapeOf(relation).columns])) : undefined
  return { role, http: { method, path, query, headers: headersOf(dice, writes), body } }
}

const arbitrary = queryStrings(words)

/** So many requests, the same for the same dice. */
export const requestsOf = (dice: Dice, count: number): readonly ChaosRequest[] => {
  const noise = fc.sample(arbitrary, { numRuns: Math.ceil(count / 2), seed: Math.floor(dice() * 2 ** 31) })
  return Array.from({ length: count }, (_, n) => request(dice, noise[n % noise.length]!))
}

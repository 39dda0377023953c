import fc from 'fast-check'
import {
  aggregates,
  type Condition,
  comparisons,
  containments,
  type Embed,
  type Field,
  type Filter,
  type OrderTerm,
  type Read,
  type SelectItem,
  type Test,
  textSearches,
} from '../query.js'
import { printQuery } from './print-query.js'

/** What the trees are made of; for the names of a real schema, or of none. */
export interface Words {
  readonly columns: fc.Arbitrary<string>
  readonly relations: fc.Arbitrary<string>
  readonly types: fc.Arbitrary<string>
  readonly values: fc.Arbitrary<string>
}

const odd = fc.constantFrom(
  ...['order', 'limit', 'offset', 'and', 'or', 'not', 'select', 'columns', 'on_conflict', 'inner', 'left', 'any', 'in', 'is'],
  ...[
    '*',
    ' a ',
    'a.b',
    'a-b',
    'a->b',
    '"',
    '\\',
    'a,b',
    '(',
    ')',
    '()',
    ':',
    '::',
    '!',
    '...',
    '0',
    '-1',
    '$',
    '',
    'ä',
    '🐘',
    '{}',
    "'; drop",
  ],
)
const text = fc.string({ unit: 'grapheme', maxLength: 8 })
const name = fc.oneof({ weight: 5, arbitrary: fc.constantFrom('id', 'name', 'title', 'a', 'b_1') }, odd, text)

/** Names and values of no schema at all, among them all that the grammar could trip over. */
const anyWords: Words = {
  columns: name,
  relations: name.filter((relation) => relation !== 'count' && relation !== 'not'),
  types: fc.constantFrom('text', 'int', 'double precision', 'my_type', 'Ω'),
  values: fc.oneof(fc.constantFrom('1', 'null', '%a%', '2024-01-01', '{a,b}', '[1,2)', '"x"', 'a.b', 'not.eq.1'), odd, text),
}

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 })

const fields = ({ columns }: Words): fc.Arbitrary<Field> =>
  fc.record({
    column: columns,
    path: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      fc.array(fc.record({ arrow: fc.constantFrom('->', '->>'), key: fc.oneof(name, fc.integer({ min: -9, max: 99 })) }), {
        maxLength: 3,
      }),
    ),
  })

const columnItems = (words: Words): fc.Arbitrary<SelectItem> =>
  fc
    .record({
      kind: fc.constant('column' as const),
      field: fields(words),
      alias: optional(words.columns),
      cast: optional(words.types),
      aggregate: optional(fc.constantFrom(...aggregates)),
      aggregateCast: optional(words.types),
    })
    .map((item) => (item.aggregate === undefined ? { ...item, aggregateCast: undefined } : item))

const tests = ({ values }: Words): fc.Arbitrary<Test> => {
  // `*` would come back as `%` from these two.
  const patterns = values.map((value) => value.replaceAll('*', '%'))
  const compared = fc.constantFrom(...comparisons)
  const quantified = fc.constantFrom(...comparisons.filter((operator) => operator !== 'neq'))
  return fc.oneof(
    fc.record({ operator: compared, value: patterns }),
    fc.record({ operator: quantified, quantifier: fc.constantFrom('any', 'all'), value: patterns }),
    fc.record({ operator: fc.constantFrom(...containments, 'isdistinct' as const), value: values }),
    fc.record({ operator: fc.constant('in' as const), values: fc.array(values, { maxLength: 4 }) }),
    fc.record({ operator: fc.constant('is' as const), value: fc.constantFrom('null', 'not_null', 'true', 'false', 'unknown') }),
    fc.record({
      operator: fc.constantFrom(...textSearches),
      configuration: optional(fc.constantFrom('english', 'german', 'my config')),
      value: values,
    }),
  )
}

const filters = (words: Words): fc.Arbitrary<Filter> =>
  fc.record({ kind: fc.constant('filter'), field: fields(words), negated: fc.boolean(), test: tests(words) })

const logic = (words: Words): fc.Arbitrary<Condition> =>
  fc.letrec<{ group: Condition; one: Condition }>((tie) => ({
    group: fc.record({
      kind: fc.constantFrom('and', 'or'),
      negated: fc.boolean(),
      conditions: fc.array(tie('one'), { minLength: 1, maxLength: 3 }),
    }),
    one: fc.oneof({ maxDepth: 3, depthSize: 'small' }, filters(words), tie('group')),
  })).group

const orders = (words: Words): fc.Arbitrary<readonly OrderTerm[]> =>
  fc.array(
    fc.record({
      relation: optional(words.relations),
      field: fields(words),
      direction: optional(fc.constantFrom('asc', 'desc')),
      nulls: optional(fc.constantFrom('first', 'last')),
    }),
    { maxLength: 2 },
  )

const rows = fc.option(fc.integer({ min: 1, max: 1_000 }), { nil: undefined })

/** By the name under which parameters reach them, embeds beside each other have to be told apart. */
const distinct = (items: readonly SelectItem[]): boolean => {
  const embeds = items.filter((item): item is Embed => item.kind === 'embed')
  return embeds.every((embed, index) => {
    const address = embed.alias ?? embed.relation
    return address !== 'not' && !embeds.slice(0, index).some((one) => one.relation === address || one.alias === address)
  })
}

/** Everything a read can ask for, embeds included. */
export const reads = (words: Words = anyWords): fc.Arbitrary<Read> =>
  fc.letrec<{ read: Read; embed: SelectItem; leaf: SelectItem }>((tie) => ({
    read: fc.record({
      select: fc
        .array(fc.oneof({ maxDepth: 3, depthSize: 'small' }, tie('leaf'), tie('leaf'), tie('embed')), { maxLength: 4 })
        .filter(distinct),
      where: fc
        .tuple(fc.array(filters(words), { maxLength: 2 }), fc.array(logic(words), { maxLength: 1 }))
        .map(([plain, groups]) => [...plain, ...groups]),
      order: orders(words),
      limit: rows,
      offset: rows,
    }),
    leaf: fc.oneof(
      fc.constant({ kind: 'all' as const }),
      columnItems(words),
      fc.record({ kind: fc.constant('count'), alias: optional(words.columns), cast: optional(words.types) }),
    ),
    embed: fc
      .record({
        kind: fc.constant('embed' as const),
        relation: words.relations,
        alias: optional(words.columns),
        hint: optional(words.columns),
        join: optional(fc.constantFrom('inner', 'left')),
        spread: fc.boolean(),
        read: tie('read'),
      })
      .map((embed) => (embed.spread ? { ...embed, alias: undefined } : embed)),
  })).read

const tokens = [
  ...[
    'select=',
    'order=',
    'limit=',
    'offset=',
    'or=',
    'and=',
    'not.or=',
    'columns=',
    'on_conflict=',
    'id=',
    'a.',
    'a.b.',
    '&',
    '=',
  ],
  ...[
    '(',
    ')',
    '((',
    '))',
    ',',
    '.',
    ':',
    '::',
    '!',
    '->',
    '->>',
    '-',
    '*',
    '"',
    '\\',
    '{',
    '}',
    '[',
    ']',
    '...',
    ' ',
    '+',
    '\t',
  ],
  ...[
    'not.',
    'eq.',
    'neq.',
    'in.(',
    'is.',
    'null',
    'like.',
    'fts(english).',
    'any',
    '(any).',
    'cs.{',
    'isdistinct.',
    'and(',
    'or(',
  ],
  ...[
    'id',
    'name',
    'count()',
    'count',
    '.sum()',
    '.max()',
    'rel(',
    '!inner',
    '!hint',
    'asc',
    '.desc',
    '.nullslast',
    '0',
    '-1',
    '99999999999999999999',
  ],
  ...[
    '%',
    '%2',
    '%00',
    '%22',
    '%2C',
    '%28',
    '%FF',
    '%C3',
    '%F0%9F%90%98',
    '%E2%80%AE',
    "'",
    ';',
    '--',
    '/*',
    '\u00e9',
    '\u0000',
    '\ud83d\udc18',
  ],
]

/** Like a query string, and mostly none. */
const soups = fc.array(fc.constantFrom(...tokens), { maxLength: 40 }).map((parts) => parts.join(''))

const bytes = fc.uint8Array({ maxLength: 60 }).map((raw) => Buffer.from(raw).toString('latin1'))

const edited = (words: Words): fc.Arbitrary<string> =>
  fc
    .tuple(reads(words).map(printQuery), fc.nat(), fc.nat({ max: 6 }), fc.constantFrom('', ...tokens))
    .map(([query, place, removed, token]) => {
      const at = place % (query.length + 1)
      return `${query.slice(0, at)}${token}${query.slice(at + removed)}`
    })

/** Query strings: sound ones, sound ones with a change, and noise. */
export const queryStrings = (words: Words = anyWords): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 2, arbitrary: reads(words).map(printQuery) },
    { weight: 4, arbitrary: edited(words) },
    { weight: 4, arbitrary: soups },
    { weight: 1, arbitrary: bytes },
  )

import fc from 'fast-check'
import type { Catalogue, Column, RelationName, Relationship } from '../catalogue.js'
import type { Condition, Embed, Field, Filter, OrderTerm, Read, SelectItem, Test } from '../query.js'

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 })

/** Texts that Postgres reads as values of a type. */
const samples: Readonly<Record<string, readonly string[]>> = {
  integer: ['1', '2', '3', '100'],
  'timestamp with time zone': ['2020-02-03T04:05:06Z', 'now'],
  date: ['2024-01-01', '1975-06-01'],
  'text[]': ['{a}', '{a,b}', '{}'],
  jsonb: ['{"n": 1}', '{}', '2'],
  int4range: ['[1,5)', '[50,200)', 'empty'],
  'api.mood': ['calm', 'happy'],
  'api.address': ['("Main St",Perth)', '(,)'],
  'api.price': ['7', '9.99'],
  numeric: ['7', '9.99'],
}
const texts = ['Ann', 'Running Tides', '%a%', "it's", '"q"', '\\', '$1', '']

const valuesOf = (column: Column): fc.Arbitrary<string> => fc.constantFrom(...(samples[column.baseType] ?? texts))

const rangeOperators = ['ov', 'cs', 'cd', 'sl', 'sr', 'nxl', 'nxr', 'adj'] as const

const testsOf = (column: Column): fc.Arbitrary<Test> => {
  const value = valuesOf(column)
  const is = fc.record({ operator: fc.constant('is' as const), value: fc.constantFrom('null' as const, 'not_null' as const) })
  if (column.baseType === 'json') return is
  if (column.baseType === 'tsvector')
    return fc.record({
      operator: fc.constantFrom('plfts' as const, 'wfts' as const),
      configuration: optional(fc.constant('english')),
      value: fc.constantFrom('sea', 'tides or sea'),
    })
  const plain = fc.record({
    operator: fc.constantFrom('eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'isdistinct' as const),
    value,
  }) as fc.Arbitrary<Test>
  const list = fc.record({ operator: fc.constant('in' as const), values: fc.array(value, { maxLength: 3 }) })
  const own: fc.Arbitrary<Test>[] =
    column.category === 'S'
      ? [
          fc.record({
            operator: fc.constantFrom('like', 'ilike', 'match'),
            value: fc.constantFrom('%a%', 'A', '^R'),
          }) as fc.Arbitrary<Test>,
          fc.record({ operator: fc.constant('plfts' as const), configuration: fc.constant(undefined), value }),
        ]
      : column.category === 'R'
        ? [fc.record({ operator: fc.constantFrom(...rangeOperators), value })]
        : column.category === 'A' || column.baseType === 'jsonb'
          ? [fc.record({ operator: fc.constantFrom('cs' as const, 'cd' as const), value })]
          : []
  return fc.oneof(plain, list, is, ...own)
}

/** A path that can be asked of the column: into JSON, a row or an array. */
const pathsOf = (column: Column): fc.Arbitrary<Field['path']> =>
  column.baseType === 'jsonb' || column.baseType === 'json' || column.category === 'C' || column.category === 'A'
    ? fc.constantFrom<Field['path']>(
        [],
        [{ arrow: '->>', key: 'n' }],
        [
          { arrow: '->', key: 'langs' },
          { arrow: '->>', key: 0 },
        ],
        [{ arrow: '->>', key: "it's" }],
      )
    : fc.constant([])

const filtersOf = (columns: readonly Column[]): fc.Arbitrary<Filter> =>
  fc.constantFrom(...columns).chain((column) =>
    fc.record({
      kind: fc.constant('filter' as const),
      field: fc.constant({ column: column.name, path: [] }),
      negated: fc.boolean(),
      test: testsOf(column),
    }),
  )

/** Not of those types that have no order. */
const ordersOf = (columns: readonly Column[]): fc.Arbitrary<OrderTerm> =>
  fc.record({
    relation: fc.constant(undefined),
    field: fc.record({
      column: fc.constantFrom(...columns.filter(({ baseType }) => baseType !== 'json').map(({ name }) => name)),
      path: fc.constant([]),
    }),
    direction: optional(fc.constantFrom('asc' as const, 'desc' as const)),
    nulls: optional(fc.constantFrom('first' as const, 'last' as const)),
  })

const itemsOf = (columns: readonly Column[], aliases: fc.Arbitrary<string | undefined>): fc.Arbitrary<SelectItem> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant({ kind: 'all' as const }) },
    {
      weight: 4,
      arbitrary: fc.constantFrom(...columns).chain((column) =>
        fc.record({
          kind: fc.constant('column' as const),
          field: fc.record({ column: fc.constant(column.name), path: pathsOf(column) }),
          alias: aliases,
          cast: optional(fc.constant('text')),
          aggregate: fc.constant(undefined),
          aggregateCast: fc.constant(undefined),
        }),
      ),
    },
  )

/** How an embed names a way so that it is the only one meant. */
const wordsOf = (way: Relationship): { readonly relation: string; readonly hint: string | undefined } => {
  if (way.kind === 'computed') return { relation: way.function.name, hint: undefined }
  if (way.kind === 'many-to-many') return { relation: way.to.name, hint: way.junction.name }
  const isSelf = way.from.name === way.to.name
  if (isSelf)
    return way.kind === 'many-to-one'
      ? { relation: way.columns[0]![0], hint: undefined }
      : { relation: way.to.name, hint: undefined }
  return { relation: way.to.name, hint: way.constraint }
}

export interface ReadOptions {
  readonly catalogue: Catalogue
  /** Of outputs and embeds. */
  readonly aliases: fc.Arbitrary<string | undefined>
  readonly depth: number
}

const embedsOf = (from: RelationName, options: ReadOptions): fc.Arbitrary<Embed> =>
  fc.constantFrom(...options.catalogue.relationships(from)).chain((way) =>
    fc.record({
      kind: fc.constant('embed' as const),
      relation: fc.constant(wordsOf(way).relation),
      hint: fc.constant(wordsOf(way).hint),
      alias: fc.constant(undefined),
      join: fc.constantFrom('inner', 'left', undefined),
      spread: fc.boolean(),
      read: readsOf(way.to, { ...options, depth: options.depth - 1 }),
    }),
  )

/** One embed of a name, as a query string could have it. */
const onlyOnce = (embeds: readonly Embed[]): readonly Embed[] =>
  embeds.filter(({ relation }, index) => embeds.findIndex((one) => one.relation === relation) === index)

/** Whether the related rows are there. */
const emptinessOf = ({ relation }: Embed): fc.Arbitrary<readonly Condition[]> =>
  fc.array(
    fc.record({
      kind: fc.constant('filter' as const),
      field: fc.constant({ column: relation, path: [] }),
      negated: fc.boolean(),
      test: fc.constant({ operator: 'is', value: 'null' } as const),
    }),
    { maxLength: 1 },
  )

/** What can be asked of a relation with names that it has: most of it makes sense to Postgres. */
export const readsOf = (from: RelationName, options: ReadOptions): fc.Arbitrary<Read> => {
  const columns = [...(options.catalogue.table(from.schema, from.name)?.columns.values() ?? [])]
  const ways = options.catalogue.relationships(from).length
  const embeds =
    options.depth > 0 && ways > 0 ? fc.array(embedsOf(from, options), { maxLength: 2 }).map(onlyOnce) : fc.constant([])
  const condition: fc.Arbitrary<Condition> = fc.oneof(
    { weight: 3, arbitrary: filtersOf(columns) },
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      negated: fc.boolean(),
      conditions: fc.array(filtersOf(columns), { minLength: 1, maxLength: 3 }),
    }),
  )
  return embeds.chain((drawn) =>
    fc
      .record({
        items: fc.array(itemsOf(columns, options.aliases), { maxLength: 3 }),
        own: fc.array(condition, { maxLength: 2 }),
        asked: fc.tuple(...drawn.map(emptinessOf)),
        order: fc.array(ordersOf(columns), { maxLength: 2 }),
        limit: optional(fc.integer({ min: 0, max: 5 })),
        offset: optional(fc.integer({ min: 0, max: 2 })),
      })
      .map(({ items, own, asked, order, limit, offset }) => ({
        select: [...items, ...drawn],
        where: [...own, ...asked.flat()],
        order,
        limit,
        offset,
      })),
  )
}

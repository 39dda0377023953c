import type { RelationName, Relationship, Table } from '../catalogue.js'
import { groupBy } from './group-by.js'
import type { ConstraintFact } from './queries.js'
import { relationKey as keyOf } from './relation-key.js'
import type { Origins } from './trace-views.js'

/** A relation that is exposed, with what detection has to know of it. */
export interface Exposed {
  readonly oid: number
  readonly table: Table
  readonly columnNames: ReadonlyMap<number, string>
}

type Pairs = readonly (readonly [string, string])[]

/** A foreign key as seen from the side that has it: between tables, or views that show all of its columns. */
interface Link {
  readonly from: RelationName
  readonly to: RelationName
  readonly constraint: string
  readonly columns: Pairs
  readonly oneToOne: boolean
}

/** A view that shows one column many times gives many ways; nobody means the hundredth. */
const maxVariants = 64

/** One choice from each list, the last list changing fastest. */
const variants = <T>(lists: readonly (readonly T[])[]): readonly (readonly T[])[] =>
  lists.reduce<readonly (readonly T[])[]>(
    (chosen, list) => chosen.flatMap((front) => list.map((next) => [...front, next])).slice(0, maxVariants),
    [[]],
  )

const sameColumns = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((column) => b.includes(column))

const nameOf = ({ schema, name }: RelationName): RelationName => ({ schema, name })

/** One end of a foreign key: the table itself, or a view that shows the key's columns, with their names there. */
interface End {
  readonly relation: RelationName
  readonly names: readonly string[]
}

export interface DetectionFacts {
  readonly exposed: readonly Exposed[]
  readonly constraints: readonly ConstraintFact[]
  readonly origins: ReadonlyMap<number, Origins>
}

/** Finds the ends of foreign keys: per table, itself and the views over it. */
class Ends {
  readonly #exposed: ReadonlyMap<number, Exposed>
  readonly #viewsOver = new Map<number, [view: Exposed, shown: ReadonlyMap<number, readonly number[]>][]>()

  constructor({ exposed, origins }: DetectionFacts) {
    this.#exposed = new Map(exposed.map((relation) => [relation.oid, relation]))
    for (const view of exposed) {
      for (const [table, shown] of origins.get(view.oid) ?? []) {
        const views = this.#viewsOver.get(table) ?? []
        views.push([view, shown])
        this.#viewsOver.set(table, views)
      }
    }
  }

  of(table: number, columns: readonly number[]): readonly End[] {
    const own = this.#exposed.get(table)
    const ends = own ? [this.#end(own, columns)] : []
    for (const [view, shown] of this.#viewsOver.get(table) ?? []) {
      const lists = columns.map((column) => shown.get(column) ?? [])
      ends.push(...variants(lists).map((chosen) => this.#end(view, chosen)))
    }
    return ends.filter((end) => end !== undefined)
  }

  #end({ table, columnNames }: Exposed, columns: readonly number[]): End | undefined {
    const names = columns.map((column) => columnNames.get(column)).filter((name) => name !== undefined)
    return names.length === columns.length ? { relation: nameOf(table), names } : undefined
  }
}

const linksOf = (facts: DetectionFacts): readonly Link[] => {
  const ends = new Ends(facts)
  const uniques = groupBy(
    facts.constraints.filter(({ kind }) => kind !== 'f'),
    ({ table }) => table,
  )
  return facts.constraints.flatMap(({ kind, name, table, columns, foreignTable, foreignColumns }) => {
    if (kind !== 'f' || !foreignColumns) return []
    const oneToOne = uniques.get(table)?.some((unique) => sameColumns(unique.columns, columns)) ?? false
    const targets = ends.of(foreignTable, foreignColumns)
    return ends.of(table, columns).flatMap((from) =>
      targets.map((to) => ({
        from: from.relation,
        to: to.relation,
        constraint: name,
        columns: from.names.map((column, index) => [column, to.names[index]!] as const),
        oneToOne,
      })),
    )
  })
}

const swap = (pairs: Pairs): Pairs => pairs.map(([ours, theirs]) => [theirs, ours])

const direct = ({ from, to, constraint, columns, oneToOne }: Link): readonly Relationship[] => [
  { kind: oneToOne ? 'one-to-one' : 'many-to-one', from, to, constraint, columns, parent: true },
  { kind: oneToOne ? 'one-to-one' : 'one-to-many', from: to, to: from, constraint, columns: swap(columns), parent: false },
]

/** Two foreign keys of one relation whose columns are all in its primary key make it a junction. */
const throughJunctions = (links: readonly Link[], tables: ReadonlyMap<string, Table>): readonly Relationship[] => {
  const candidates = links.filter(({ from, columns, oneToOne }) => {
    const key = tables.get(keyOf(from))?.primaryKey ?? []
    return !oneToOne && columns.every(([column]) => key.includes(column))
  })
  return [...groupBy(candidates, ({ from }) => keyOf(from)).values()].flatMap((keys) =>
    keys.flatMap((ours) =>
      keys
        .filter((theirs) => theirs.constraint !== ours.constraint)
        .map((theirs) => ({
          kind: 'many-to-many' as const,
          from: ours.to,
          to: theirs.to,
          junction: ours.from,
          constraints: [ours.constraint, theirs.constraint] as const,
          fromColumns: swap(ours.columns),
          toColumns: swap(theirs.columns),
        })),
    ),
  )
}

const order: readonly Relationship['kind'][] = ['one-to-many', 'many-to-one', 'one-to-one', 'many-to-many', 'computed']

/** In which order several are told to the caller. */
const rank = (way: Relationship): string => {
  const target = [way.to.schema, way.to.name, String(order.indexOf(way.kind))]
  if (way.kind === 'computed') return [...target, way.function.name].join('\0')
  if (way.kind === 'many-to-many')
    return [...target, keyOf(way.junction), ...way.constraints, ...way.fromColumns.flat()].join('\0')
  return [...target, way.constraint, ...way.columns.flat()].join('\0')
}

/** The primary key of a view: that of each table whose key it shows in full, every column where it is shown first. */
export const viewKey = (origins: Origins | undefined, constraints: ReadonlyMap<number, ConstraintFact>): readonly number[] =>
  [...(origins ?? [])].flatMap(([table, shown]) => {
    const key = constraints.get(table)?.columns.map((column) => shown.get(column)?.[0]) ?? []
    return key.every((column) => column !== undefined) ? key : []
  })

/**
 * All ways between exposed relations, by the relation they start from: foreign keys in both directions, through the views that show
 * their columns, and through junctions. A computed one takes the place of those detected that lead to a relation of its name.
 */
export const detectRelationships = (
  facts: DetectionFacts,
  computed: readonly (Relationship & { readonly kind: 'computed' })[],
): ReadonlyMap<string, readonly Relationship[]> => {
  const tables = new Map(facts.exposed.map(({ table }) => [keyOf(table), table]))
  const links = linksOf(facts)
  const overridden = new Set(computed.map((way) => `${keyOf(way.from)}\0${keyOf(way.function)}`))
  const detected = [...links.flatMap(direct), ...throughJunctions(links, tables)].filter(
    (way) => !overridden.has(`${keyOf(way.from)}\0${keyOf(way.to)}`),
  )
  const ranked = [...detected, ...computed].map((way) => ({ way, rank: rank(way) }))
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0))
  const byOrigin = groupBy(ranked, ({ way }) => keyOf(way.from))
  return new Map([...byOrigin].map(([origin, ways]) => [origin, ways.map(({ way }) => way)]))
}

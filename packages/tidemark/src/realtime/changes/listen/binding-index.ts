import type { Row } from '../../../feed/feed.js'
import type { ChangeEvent } from '../../realtime.js'
import type { FilterTest, LocalTest, RemoteTest } from '../filters/filter-test.js'
import type { RelationFacts, Selection } from '../values/relation-facts.js'
import type { ValueKind } from '../values/value-kind.js'

/** One binding of one listener, ready to be compared with rows. */
export interface Bound<L> {
  readonly listener: L
  /** Its place among the listener's bindings. */
  readonly binding: number
  readonly event: ChangeEvent | '*'
  readonly schema: string
  /** Undefined: every table of the schema. */
  readonly table: string | undefined
  readonly tests: readonly FilterTest[]
  readonly selection: Selection | undefined
}

/** What a row leaves of the bindings. */
export interface Found<L> {
  /** They match. */
  readonly hits: Bound<L>[]
  /** They match if Postgres says so of these conditions. */
  readonly asking: { readonly bound: Bound<L>; readonly tests: readonly RemoteTest[] }[]
  /** A value that they ask for is not in the log. */
  readonly unknown: Bound<L>[]
  /** A column that they ask for is not what it was. */
  readonly stale: Bound<L>[]
}

export const nothingFound = <L>(): Found<L> => ({ hits: [], asking: [], unknown: [], stale: [] })

/** A condition's column in a relation; undefined where it is another now. */
const columnOf = ({ column, typeOid }: FilterTest, facts: RelationFacts): number | undefined => {
  const index = facts.positions.get(column)
  if (index === undefined) return undefined
  const now = facts.columns[index]?.type?.oid
  return now === undefined || now === typeOid ? index : undefined
}

/** Compares the conditions, apart from the one that was looked up, and puts the binding where it belongs. */
const judge = <L>(bound: Bound<L>, facts: RelationFacts, row: Row, passed: LocalTest | undefined, found: Found<L>): void => {
  const { tests } = bound
  if (tests.length === (passed ? 1 : 0)) {
    found.hits.push(bound)
    return
  }
  let remote: RemoteTest[] | undefined
  let unknown = false
  for (const test of tests) {
    if (test === passed) continue
    const index = columnOf(test, facts)
    if (index === undefined) {
      found.stale.push(bound)
      return
    }
    const value = row[index]
    if (test.where === 'postgres') {
      if (value === undefined) unknown = true
      else remote = [...(remote ?? []), test]
      continue
    }
    const held = test.holds(value)
    if (held === false) return
    if (held === undefined) unknown = true
  }
  if (unknown) found.unknown.push(bound)
  else if (remote) found.asking.push({ bound, tests: remote })
  else found.hits.push(bound)
}

/** The condition by which a binding is found: its value has to be one of a few. */
const lookup = (tests: readonly FilterTest[]): LocalTest | undefined =>
  tests.find((test): test is LocalTest => test.where === 'here' && test.keys !== undefined && test.kind !== undefined)

/** Bindings with a condition of equality on one column. */
class Looked<L> {
  readonly test: LocalTest
  readonly kind: ValueKind
  readonly #byKey = new Map<string, Map<Bound<L>, LocalTest>>()

  constructor(test: LocalTest, kind: ValueKind) {
    this.test = test
    this.kind = kind
  }

  get isEmpty(): boolean {
    return this.#byKey.size === 0
  }

  add(bound: Bound<L>, test: LocalTest): void {
    for (const key of test.keys ?? []) {
      const bounds = this.#byKey.get(key)
      if (bounds) bounds.set(bound, test)
      else this.#byKey.set(key, new Map([[bound, test]]))
    }
  }

  remove(bound: Bound<L>, test: LocalTest): void {
    for (const key of test.keys ?? []) {
      const bounds = this.#byKey.get(key)
      bounds?.delete(bound)
      if (bounds?.size === 0) this.#byKey.delete(key)
    }
  }

  find(facts: RelationFacts, row: Row, found: Found<L>): void {
    const index = columnOf(this.test, facts)
    if (index === undefined) {
      this.#all(found.stale)
      return
    }
    const value = row[index]
    if (value === null) return
    const key = value === undefined ? undefined : this.kind.key(value)
    if (key === undefined) this.#all(found.unknown)
    else for (const [bound, test] of this.#byKey.get(key) ?? []) judge(bound, facts, row, test, found)
  }

  #all(into: Bound<L>[]): void {
    for (const bound of new Set(this.all())) into.push(bound)
  }

  /** One with several values comes as often. */
  *all(): Generator<Bound<L>, void, undefined> {
    for (const bounds of this.#byKey.values()) yield* bounds.keys()
  }
}

/** Bindings of one event and one table. */
class EventBindings<L> {
  readonly #free = new Set<Bound<L>>()
  readonly #looked = new Map<string, Looked<L>>()
  readonly #scanned = new Set<Bound<L>>()

  add(bound: Bound<L>): void {
    const test = lookup(bound.tests)
    if (bound.tests.length === 0) this.#free.add(bound)
    else if (test?.kind) this.#lookedOf(test, test.kind).add(bound, test)
    else this.#scanned.add(bound)
  }

  remove(bound: Bound<L>): void {
    this.#free.delete(bound)
    this.#scanned.delete(bound)
    const test = lookup(bound.tests)
    if (!test) return
    const key = `${test.typeOid} ${test.column}`
    const looked = this.#looked.get(key)
    looked?.remove(bound, test)
    if (looked?.isEmpty) this.#looked.delete(key)
  }

  find(facts: RelationFacts, row: Row, found: Found<L>): void {
    for (const bound of this.#free) found.hits.push(bound)
    for (const looked of this.#looked.values()) looked.find(facts, row, found)
    for (const bound of this.#scanned) judge(bound, facts, row, undefined, found)
  }

  get isEmpty(): boolean {
    return this.#free.size + this.#looked.size + this.#scanned.size === 0
  }

  *all(): Generator<Bound<L>, void, undefined> {
    yield* this.#free
    yield* this.#scanned
    for (const looked of this.#looked.values()) yield* looked.all()
  }

  #lookedOf(test: LocalTest, kind: ValueKind): Looked<L> {
    const key = `${test.typeOid} ${test.column}`
    const looked = this.#looked.get(key) ?? new Looked<L>(test, kind)
    this.#looked.set(key, looked)
    return looked
  }
}

const everything = '*'
type Asked = ChangeEvent | typeof everything

/** Those of one place. Most ask for every event, and stand but once. */
type PlaceBindings<L> = Readonly<Record<Asked, EventBindings<L>>>

const emptyPlace = <L>(): PlaceBindings<L> => ({
  '*': new EventBindings(),
  INSERT: new EventBindings(),
  UPDATE: new EventBindings(),
  DELETE: new EventBindings(),
})

const placeOf = ({ schema, table }: Pick<Bound<unknown>, 'schema' | 'table'>): string =>
  schema === everything ? everything : table === undefined ? schema : JSON.stringify([schema, table])

/** Who asked for what, by table, event and values: a row finds its bindings by lookup. */
export class BindingIndex<L> {
  readonly #places = new Map<string, PlaceBindings<L>>()
  readonly #names = new WeakMap<RelationFacts, readonly string[]>()

  add(bound: Bound<L>): void {
    const place = placeOf(bound)
    const bindings = this.#places.get(place) ?? emptyPlace<L>()
    this.#places.set(place, bindings)
    bindings[bound.event].add(bound)
  }

  remove(bound: Bound<L>): void {
    const place = placeOf(bound)
    const bindings = this.#places.get(place)
    bindings?.[bound.event].remove(bound)
    if (bindings && Object.values(bindings).every(({ isEmpty }) => isEmpty)) this.#places.delete(place)
  }

  /** Whether a change of this table could concern anybody. */
  has(facts: RelationFacts): boolean {
    return this.#placesOf(facts).some((place) => this.#places.has(place))
  }

  find(event: ChangeEvent, facts: RelationFacts, row: Row, found: Found<L>): void {
    for (const place of this.#placesOf(facts)) {
      const bindings = this.#places.get(place)
      bindings?.[everything].find(facts, row, found)
      bindings?.[event].find(facts, row, found)
    }
  }

  /** Who asked for anything of the table. */
  listeners(schema: string, table: string): Set<L> {
    const listeners = new Set<L>()
    for (const place of [JSON.stringify([schema, table]), schema, everything]) {
      for (const bindings of Object.values(this.#places.get(place) ?? {}))
        for (const { listener } of bindings.all()) listeners.add(listener)
    }
    return listeners
  }

  #placesOf(facts: RelationFacts): readonly string[] {
    const known = this.#names.get(facts)
    if (known) return known
    const { schema, table } = facts.relation
    const names = [JSON.stringify([schema, table]), schema, everything]
    this.#names.set(facts, names)
    return names
  }
}

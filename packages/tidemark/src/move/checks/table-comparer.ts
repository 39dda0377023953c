/** Reads the same rows of one table on both sides, each side by verification's own reader, and tells which are not alike. */
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import { rowColumn } from '../log-key.js'
import type { ColumnPlan, RowDifference, TablePlan } from '../move.js'
import type { Key } from '../row-keys.js'
import { largeColumns } from '../row-source.js'
import { type ExpectedRow, hashOf, SourceRows } from '../verify/source-rows.js'
import { type TargetRow, TargetRows } from '../verify/target-rows.js'
import { idOf, type Link, LinkReader, linkOf, walkOf } from './link.js'
import { Rejects } from './rejects.js'

/** A row that is to be looked at: by the file's key, by the canonical texts of its key, or both. */
export interface RowName {
  readonly key: Key | null
  /** Undefined where no row of Postgres can have that key. */
  readonly texts: readonly string[] | undefined
}

/** A row that is not alike on the two sides. */
export interface Differing extends RowName {
  /** The same for the same row, from whichever side it was seen. */
  readonly printed: string
  readonly state: RowDifference['state']
  readonly columns: RowDifference['columns']
  /** What either side had: the same again means that neither changed in between. */
  readonly seen: string
}

export interface TableComparerOptions {
  readonly database: Database
  readonly client: pg.Client
  readonly runId: string
  readonly table: TablePlan
  /** How Postgres reads its columns, where not as usual. */
  readonly canonical?: (column: ColumnPlan) => string
}

/** Names asked for in one statement. */
const maxNames = 1000
const maxTextLength = 200
/** Stands for the rows of Postgres without a rowid; no rowid reads like that. */
export const unkeyed = { key: null, texts: [''] } as const satisfies RowName

const groupById = <T>(items: readonly T[], id: (item: T) => string): ReadonlyMap<string, readonly T[]> => {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(id(item))
    if (group) group.push(item)
    else groups.set(id(item), [item])
  }
  return groups
}

/** Each key once. */
const keysOf = (names: readonly RowName[]): readonly (readonly string[])[] => [
  ...new Map(names.flatMap(({ texts }) => (texts ? [[idOf(texts), texts] as const] : []))).values(),
]

const chunksOf = <T>(items: readonly T[], size: number): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))

const shown = (text: string | null | undefined): string | null => (text ? text.slice(0, maxTextLength) : (text ?? null))

export class TableComparer {
  readonly table: TablePlan
  readonly link: Link
  readonly reader: LinkReader
  /** Walks the file in the order of {@link walkOf}. */
  readonly walk: SourceRows
  readonly target: TargetRows
  readonly rejects: Rejects
  readonly #byKey: SourceRows
  readonly #keysByKey: SourceRows
  readonly #keyWalk: SourceRows
  /** Rows held in memory at a time. */
  readonly #rowsAtOnce: number
  readonly #linkPlaces: readonly number[]

  constructor({ database, client, runId, table, canonical }: TableComparerOptions, link: Link) {
    this.table = table
    this.link = link
    this.reader = new LinkReader(link, String(database.pragma('encoding', { simple: true })))
    this.rejects = new Rejects(client, runId, table.source)
    const { keys } = this.rejects
    const names = walkOf(table, link)
    this.#rowsAtOnce = largeColumns(table.columns).length > 0 ? 32 : 256
    const walk = { kind: 'columns', columns: names } as const
    const keyTable = { ...table, columns: link.columns }
    this.#linkPlaces = link.columns.map(({ source }) => names.indexOf(source))
    this.walk = new SourceRows(database, client, table, walk, keys)
    this.#byKey = new SourceRows(database, client, table, link.rowKey, keys)
    this.#keysByKey = new SourceRows(database, client, keyTable, link.rowKey, keys)
    this.#keyWalk = new SourceRows(database, client, keyTable, walk, keys)
    this.target = new TargetRows(client, table, link.columns, canonical)
  }

  /** A row that the walk gave. */
  nameOf(row: ExpectedRow): RowName {
    return {
      key: this.#linkPlaces.map((place) => row.key[place] ?? null),
      texts: row.texts && this.reader.within(this.table, row.texts),
    }
  }

  /**
   * Compares some rows. Postgres is read before the file: what differs and was not changed in the file since Postgres had everything (no
   * entry of the log after that) differs for good.
   */
  async compare(names: readonly RowName[]): Promise<Differing[]> {
    await this.rejects.refresh()
    const suspects: RowName[] = []
    const isRowid = this.link.columns[0]?.target === rowColumn
    const keyed = isRowid ? names.filter(({ texts }) => texts?.[0] !== unkeyed.texts[0]) : names
    for (const some of chunksOf(keyed, maxNames)) suspects.push(...(await this.#unlike(some)))
    const differing: Differing[] = keyed.length < names.length ? await this.#unkeyed() : []
    for (const some of chunksOf(suspects, this.#rowsAtOnce)) differing.push(...(await this.#look(some)))
    return differing
  }

  /** By hashes, so that no more than a few rows are held. */
  async #unlike(names: readonly RowName[]): Promise<RowName[]> {
    const present = groupById(await this.target.hashesAt(keysOf(names)), ({ key }) => idOf(key))
    const unlike: RowName[] = []
    for (const some of chunksOf(names, this.#rowsAtOnce)) {
      for (const [name, source] of await this.#sourcesOf(some)) {
        const expected = source?.texts ? hashOf(source) : null
        const found = (name.texts && present.get(idOf(name.texts))) || []
        const isLost = source !== undefined && !source.texts
        const isAlike = found.length <= 1 && expected?.high === found[0]?.hash.high && expected?.low === found[0]?.hash.low
        if (isLost || !isAlike) unlike.push(name)
      }
    }
    return unlike
  }

  async #look(names: readonly RowName[]): Promise<Differing[]> {
    const targets = groupById(await this.target.rowsAt(keysOf(names)), ({ key }) => key)
    const sources = await this.#sourcesOf(names)
    return sources.flatMap(([name, source]) =>
      this.#difference(name, source, (name.texts && targets.get(idOf(name.texts))) || []),
    )
  }

  /** Rows of Postgres without a key: where the key is the rowid, nothing keeps them out. */
  async #unkeyed(): Promise<Differing[]> {
    const count = await this.target.countWithoutKey()
    const printed = this.reader.print(['NULL'])
    return count === 0 ? [] : [{ ...unkeyed, printed, state: 'extra', columns: [], seen: String(count) }]
  }

  /** The rows of the file that should be in Postgres under these names. */
  async #sourcesOf(names: readonly RowName[]): Promise<(readonly [RowName, ExpectedRow | undefined])[]> {
    const keyed = names.filter(({ key }) => key !== null)
    const rows = await this.#byKey.at(keyed.map(({ key }) => key!))
    const found = new Map(keyed.map((name, i) => [name, rows[i]] as const))
    return names.map((name) => {
      const row = found.get(name)
      if (!row || row.rejected) return [name, undefined]
      // A key may find a row that is known by another: 'abc' finds 'ABC' under NOCASE.
      const texts = row.texts && this.reader.within(this.table, row.texts)
      const isOther = texts && name.texts && idOf(texts) !== idOf(name.texts)
      return [name, isOther ? undefined : row]
    })
  }

  #difference(name: RowName, source: ExpectedRow | undefined, found: readonly TargetRow[]): readonly Differing[] {
    const { texts } = name
    const [target] = found
    if (!source && !target) return []
    const state = !target ? 'missing' : !source || found.length > 1 ? 'extra' : 'differs'
    const columns = source && target && state === 'differs' ? this.#columnsBetween(source, target) : []
    if (state === 'differs' && columns.length === 0) return []
    const printed = texts ? this.reader.print(texts) : (source?.printedKey() ?? '')
    const seen = JSON.stringify([source?.texts ?? null, found.map((row) => row.texts)])
    return [{ ...name, printed: printed.replaceAll('\0', '\u2400'), state, columns, seen }]
  }

  #columnsBetween(source: ExpectedRow, target: TargetRow): RowDifference['columns'] {
    return this.table.columns.flatMap((column, i) => {
      // A value that cannot be in Postgres has no text: its row differs as a whole.
      const [from, to] = [source.texts?.[i], target.texts[i]]
      return from === to && source.texts ? [] : [{ column: column.source, source: shown(from), target: shown(to) }]
    })
  }

  /** Which of some keys of Postgres no row of the file stands for. */
  async unfounded(keys: readonly (readonly string[])[]): Promise<RowName[]> {
    const guesses = keys.map((texts) => this.reader.keyOf(texts))
    const rows = await this.#keysByKey.at(guesses)
    const isFound = (i: number): boolean => {
      const row = rows[i]
      return row?.texts !== undefined && !row.rejected && idOf(row.texts as string[]) === idOf(keys[i]!)
    }
    const unfound = keys.flatMap((texts, i) => (isFound(i) ? [] : [{ texts, key: this.reader.isExact ? guesses[i]! : null }]))
    return this.reader.isExact || unfound.length === 0 ? unfound : this.#search(unfound)
  }

  /** Where no key of the file can be made of Postgres' value, the file is searched for rows that read like it. */
  async #search(unfound: readonly RowName[]): Promise<RowName[]> {
    const left = new Map(unfound.map((name) => [idOf(name.texts!), name]))
    let after: Key | null = null
    for (let done = false; !done && left.size > 0; ) {
      const read = await this.#keyWalk.next(after, 2000)
      for (const row of read.rows) if (row.texts && !row.rejected) left.delete(idOf(row.texts as string[]))
      after = read.rows.at(-1)?.key ?? after
      ;({ done } = read)
    }
    return [...left.values()]
  }
}

/** A comparer of the table's rows; none where they cannot be told apart. */
export const openComparer = (options: TableComparerOptions): TableComparer | null => {
  const link = linkOf(options.table)
  return link && new TableComparer(options, link)
}

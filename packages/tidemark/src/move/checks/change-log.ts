/** The log of changed keys as the checks need it: keys in the order of the link's columns. */
import type { CaptureTable, LogEntry } from '../../sqlite/capture/capture.js'
import { logHead, readLog } from '../../sqlite/capture/log.js'
import { storedTables } from '../../sqlite/capture/stored-tables.js'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import type { Key } from '../row-keys.js'
import type { Link } from './link.js'

/** Entries read at a time: a few milliseconds. */
const entriesAtOnce = 2000
/** With more than so many entries that are not applied yet, which rows are in flight is asked later. */
const mostInFlight = 50_000

export interface LoggedKey {
  readonly table: string
  /** null where the entry does not tell the row. */
  readonly key: Key | null
}

/** Where in an entry's key each column of the link stands; null where entries do not tell the row. */
const placesOf = ({ key }: CaptureTable, link: Link | null): readonly number[] | null => {
  if (!link || key.kind === 'none') return null
  const names = key.kind === 'rowid' ? [key.name] : key.columns
  const places = link.columns.map(({ source }) => names.indexOf(source))
  return places.length === names.length && !places.includes(-1) ? places : null
}

export class ChangeLog {
  readonly #database: SqliteDatabase
  readonly #links: ReadonlyMap<string, Link | null>
  #tables = new Map<number, CaptureTable>()

  /** `links`: by the file's table, those that are compared. */
  constructor(database: SqliteDatabase, links: ReadonlyMap<string, Link | null>) {
    this.#database = database
    this.#links = links
    this.refresh()
  }

  /** Reads again which number of the log stands for which table. */
  refresh(): void {
    this.#tables = new Map(storedTables(this.#database).map((table) => [table.id, table]))
  }

  get head(): bigint {
    return logHead(this.#database)
  }

  /** The next entries behind one up to and including another, and how far they reach. */
  next(after: bigint, until: bigint, limit: number): { readonly keys: readonly LoggedKey[]; readonly reached: bigint } {
    const read = readLog(this.#database, { after, limit })
    const entries = read.filter(({ seq }) => seq <= until)
    const isAll = read.length < limit || entries.length < read.length
    return { keys: entries.flatMap((entry) => this.#keyOf(entry) ?? []), reached: isAll ? until : entries.at(-1)!.seq }
  }

  #keyOf(entry: LogEntry): LoggedKey | undefined {
    if (!this.#tables.has(entry.table)) this.refresh()
    const table = this.#tables.get(entry.table)
    const link = table && this.#links.get(table.name)
    if (!table || link === undefined) return undefined
    const places = placesOf(table, link)
    return { table: table.name, key: places && entry.key && places.map((place) => entry.key![place] ?? null) }
  }

  /** The keys of a table with entries behind one; null where there are too many to tell. Short reads, one after another. */
  inFlight(table: string, after: bigint): readonly (Key | null)[] | null {
    const keys: (Key | null)[] = []
    for (let from = after, read = 0; ; read += entriesAtOnce) {
      if (read >= mostInFlight) return null
      const entries = readLog(this.#database, { after: from, limit: entriesAtOnce })
      for (const entry of entries) {
        const logged = this.#keyOf(entry)
        if (logged?.table === table) keys.push(logged.key)
      }
      if (entries.length < entriesAtOnce) return keys
      from = entries.at(-1)!.seq
    }
  }
}

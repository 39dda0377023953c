/** Reads a stretch of the log and the rows it names, in one short read transaction (soundness 18). */
import type { Database } from 'better-sqlite3'
import { logHead, readLog } from '../../sqlite/capture/log.js'
import { captureTablesOf } from '../log-key.js'
import type { MovePlan } from '../move.js'
import type { Key } from '../row-keys.js'
import { type TableChanges, TableReader } from './table-reader.js'

export interface Batch {
  /** Entries behind this number … */
  readonly after: bigint
  /** … up to and including this one. */
  readonly upTo: bigint
  /** The newest entry of the log at the time. */
  readonly head: bigint
  readonly entries: number
  readonly changes: readonly TableChanges[]
  /** Tables in which something changed that no key can tell: to be copied anew. */
  readonly whole: ReadonlySet<string>
}

export interface BatchLimits {
  readonly maxReadMs: number
  readonly maxBatchBytes: number
}

/** Entries fetched at a time. */
const entriesPerFetch = 1000
/** Entries between two looks at the clock. */
const entriesPerLook = 16

export class BatchReader {
  readonly #database: Database
  readonly #plan: MovePlan
  readonly #limits: BatchLimits
  readonly #isKeyed: readonly boolean[]
  readonly #readers = new Map<number, TableReader>()

  constructor(database: Database, plan: MovePlan, limits: BatchLimits) {
    this.#database = database
    this.#plan = plan
    this.#limits = limits
    this.#isKeyed = captureTablesOf(plan).map(({ key }) => key.kind !== 'none')
  }

  /** To be called within a read transaction. `isWhole` names tables that are copied anew whenever anything in them changes. */
  read(after: bigint, isWhole: (table: string) => boolean): Batch {
    const startedAt = performance.now()
    const head = logHead(this.#database)
    const touched = new Map<number, TableReader>()
    const whole = new Set<string>()
    let [upTo, bytes, entries] = [after, 0, 0]
    const isFull = () =>
      bytes >= this.#limits.maxBatchBytes ||
      (entries % entriesPerLook === 0 && performance.now() - startedAt >= this.#limits.maxReadMs)
    reading: for (;;) {
      const fetched = readLog(this.#database, { after: upTo, limit: entriesPerFetch })
      for (const { seq, table, key } of fetched) {
        const name = this.#plan.tables[table - 1]?.source
        if (name !== undefined) bytes += this.#take(table, name, key, touched, whole, isWhole)
        upTo = seq
        entries++
        if (isFull()) break reading
      }
      if (fetched.length < entriesPerFetch) break
    }
    const changes = [...touched.values()].filter(({ table }) => !whole.has(table.source)).map((reader) => reader.changes)
    return { after, upTo, head, entries, changes, whole }
  }

  #take(
    number: number,
    name: string,
    key: Key | null,
    touched: Map<number, TableReader>,
    whole: Set<string>,
    isWhole: (table: string) => boolean,
  ): number {
    if (whole.has(name)) return 0
    const reader = key === null || !this.#isKeyed[number - 1] || isWhole(name) ? undefined : this.#readerOf(number, touched)
    if (!reader?.isPlain(key!)) {
      whole.add(name)
      return 0
    }
    return reader.add(key!)
  }

  #readerOf(number: number, touched: Map<number, TableReader>): TableReader {
    const open = touched.get(number)
    if (open) return open
    const reader = this.#readers.get(number) ?? new TableReader(this.#database, this.#plan.tables[number - 1]!)
    reader.restart()
    this.#readers.set(number, reader)
    touched.set(number, reader)
    return reader
  }

  /** Forgets how tables were read: their keys may be indexed otherwise since. */
  forget(): void {
    this.#readers.clear()
  }
}

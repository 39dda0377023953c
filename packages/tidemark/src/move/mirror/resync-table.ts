/** Compares one table with Postgres at one moment and writes what differs, for when changes of the feed are missing. */
import type pg from 'pg'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import { quoteSqliteName } from '../../sqlite/tokenize.js'
import type { IdMap } from '../invert/id-map.js'
import type { FileValue } from '../invert/invert.js'
import { targetTexts } from '../invert/target-texts.js'
import { exactKeySql, type Packed, packKey, readKey, unpackKey } from '../row-keys.js'
import type { FoundRow } from './file-rows.js'
import type { ResyncReport } from './mirror.js'
import type { Statements } from './statements.js'
import type { TableApplier } from './table-applier.js'
import { hashValues } from './value-index.js'

type Texts = readonly (string | null)[]

export interface ResyncTableOptions {
  /** In a REPEATABLE READ transaction. */
  readonly client: pg.Client
  readonly db: SqliteDatabase
  readonly statements: Statements
  readonly applier: TableApplier
  readonly ids: IdMap
  readonly signal: AbortSignal
}

const handleText = (row: FoundRow): string => JSON.stringify(packKey(row.handle))

class TableResync {
  readonly #options: ResyncTableOptions
  readonly #counts = { inserted: 0, updated: 0, deleted: 0, equal: 0 }

  constructor(options: ResyncTableOptions) {
    this.#options = options
  }

  async run(): Promise<Omit<ResyncReport, 'refused'>> {
    const { applier, db } = this.#options
    db.exec(
      'CREATE TEMP TABLE IF NOT EXISTS _tidemark_seen (h TEXT PRIMARY KEY, k TEXT) WITHOUT ROWID; DELETE FROM temp._tidemark_seen',
    )
    db.exec('CREATE INDEX IF NOT EXISTS temp._tidemark_seen_key ON _tidemark_seen (k)')
    await (applier.table.key.length > 0 ? this.#byKey() : this.#byValues())
    applier.settle()
    db.exec('DROP TABLE temp._tidemark_seen')
    return { table: applier.table.plan.source, ...this.#counts }
  }

  async *#rows(): AsyncGenerator<Texts, void, undefined> {
    const { client, applier, ids, signal } = this.#options
    const { plan, columns, inverter } = applier.table
    for await (const rows of targetTexts(client, plan, columns)) {
      signal.throwIfAborted()
      const wanted = inverter.mapped(columns, rows)
      if (wanted.size > 0) await ids.learn(wanted)
      yield* rows
    }
  }

  /** First what Postgres does not have goes, so that nothing of it stands in the way of what comes. */
  async #byKey(): Promise<void> {
    const { applier } = this.#options
    for await (const texts of this.#rows()) {
      const row = applier.find(texts)
      if (row) this.#see(row, '')
    }
    this.#sweep((row) => !this.#wasSeen(row))
    for await (const texts of this.#rows()) this.#counts[applier.put(texts, applier.find(texts))] += 1
  }

  #see(row: FoundRow, key: string): void {
    this.#options.statements.run('INSERT OR IGNORE INTO temp._tidemark_seen (h, k) VALUES (?, ?)', [handleText(row), key])
  }

  #wasSeen(row: FoundRow): boolean {
    return this.#options.statements.read('SELECT 1 FROM temp._tidemark_seen WHERE h = ?').get(handleText(row)) !== undefined
  }

  /** Removes rows of the file, of those that are the mirror's. */
  #sweep(isGone: (row: FoundRow) => boolean): void {
    const { applier } = this.#options
    applier.rows.deleteAll((row) => {
      const goes = isGone(row) && applier.isOurs(row)
      if (goes) this.#counts.deleted += 1
      return goes
    })
  }

  /**
   * Rows without a key: each of Postgres takes one of the file whose values are the same where they can be compared exactly. What is left over
   * goes, what finds none is inserted. Rows of the file that cannot be told apart at all are replaced.
   */
  async #byValues(): Promise<void> {
    const { applier } = this.#options
    if (!applier.table.hasUniqueHandle) return this.#replaceAll()
    this.#hashFile()
    const exact = applier.table.columns.flatMap((column, i) => (column.isExact ? [{ column, i }] : []))
    for await (const texts of this.#rows()) {
      const { bound } = applier.rows.values(
        exact.map(({ column }) => column),
        exact.map(({ i }) => texts[i]!),
      )
      this.#counts[applier.put(texts, this.#take(hashValues(bound), texts))] += 1
    }
    const { statements } = this.#options
    for (;;) {
      const left = statements.read('SELECT h FROM temp._tidemark_seen LIMIT 500').all() as string[][]
      for (const [handle] of left) {
        applier.rows.delete(this.#rowOf(handle!))
        statements.run('DELETE FROM temp._tidemark_seen WHERE h = ?', [handle])
        this.#counts.deleted += 1
      }
      if (left.length === 0) return
    }
  }

  async #replaceAll(): Promise<void> {
    this.#sweep(() => true)
    for await (const texts of this.#rows()) this.#counts[this.#options.applier.put(texts, undefined)] += 1
  }

  #rowOf(handle: string): FoundRow {
    const key = unpackKey(JSON.parse(handle) as Packed[])!
    return { handle: key, logKey: this.#options.applier.table.capture.key.kind === 'rowid' ? key : null }
  }

  /** Notes every row of the file with the hash of its exact columns. */
  #hashFile(): void {
    const { applier, statements } = this.#options
    const { handle, columns } = applier.table
    if (handle.kind === 'none') return
    const keys = handle.kind === 'rowid' ? [quoteSqliteName(handle.name)] : handle.columns.map(quoteSqliteName)
    const exact = columns.filter(({ isExact }) => isExact).map(({ source }) => quoteSqliteName(source))
    const width = keys.length * 2
    const sql = `SELECT ${[exactKeySql(keys), ...exact].join(', ')} FROM ${applier.rows.name} ORDER BY ${keys.join(', ')} LIMIT 500 OFFSET ?`
    for (let offset = 0; ; offset += 500) {
      const rows = statements.read(sql).all(offset)
      for (const row of rows) {
        const found: FoundRow = { handle: readKey(row.slice(0, width)), logKey: null }
        if (applier.isOurs(found)) this.#see(found, hashValues(row.slice(width) as FileValue[]))
      }
      if (rows.length < 500) return
    }
  }

  /** A row of the file with this hash that no other has taken; rather one that is the same in every column. */
  #take(hash: string, texts: Texts): FoundRow | undefined {
    const { applier, statements } = this.#options
    const found = statements.read('SELECT h FROM temp._tidemark_seen WHERE k = ? LIMIT 20').all(hash) as string[][]
    const rows = found.map(([handle]) => this.#rowOf(handle!))
    const doubtful = applier.table.columns.flatMap((column, i) => (column.isExact ? [] : [{ column, text: texts[i]! }]))
    const isSame = (row: FoundRow) =>
      applier.rows.differing(
        row,
        doubtful.map(({ column }) => column),
        doubtful.map(({ text }) => text),
      ).length === 0
    const row = rows.find(isSame) ?? rows[0]
    if (row) statements.run('DELETE FROM temp._tidemark_seen WHERE h = ?', [handleText(row)])
    return row
  }
}

/** Within a write transaction of the file. */
export const resyncTable = (options: ResyncTableOptions): Promise<Omit<ResyncReport, 'refused'>> => new TableResync(options).run()

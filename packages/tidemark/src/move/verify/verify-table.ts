/** Compares one table: checksums of stretches first, then, where they differ, the rows themselves. */
import { setImmediate } from 'node:timers/promises'
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import type { ColumnPlan, RowDifference, RowKey, TablePlan, TableVerification } from '../move.js'
import type { Key } from '../row-keys.js'
import { Checksum } from './checksum.js'
import { type ExpectedRow, hashOf, SourceRows, type SourceSummary } from './source-rows.js'
import { type KeyStretch, type TargetRow, TargetRows } from './target-rows.js'

export interface VerifyTableOptions {
  readonly database: Database
  readonly client: pg.Client
  readonly table: TablePlan
  /** Printed keys of the rows that the copy set aside. */
  readonly rejected: ReadonlySet<string>
  /** Printed keys of the rows in which a policy replaced a value. */
  readonly replaced: ReadonlySet<string>
  readonly maxDifferences: number
  readonly signal: AbortSignal
  readonly onProgress: (rows: number) => void
  /** How Postgres reads its columns, where not as usual. */
  readonly canonical?: (column: ColumnPlan) => string
}

/** Rows of the file by what became of them. */
interface Tally {
  rows: number
  equal: number
  mapped: number
  rejected: number
}

const emptyTally = (): Tally => ({ rows: 0, equal: 0, mapped: 0, rejected: 0 })

const keyText = (key: Key | null): readonly string[] | null => (key === null ? null : key.map(String))

const rowsPerStretch = 10_000
const rowsPerBucket = 4000

/**
 * The source columns of a key of whole numbers that are the same on both sides, by which the table can be cut into stretches. It must be
 * the key of the file as well: where the file holds one twice, a stretch could end between the two and lose sight of the second.
 */
const stretchKey = (table: TablePlan): RowKey | null => {
  const columns = table.primaryKey.map((name) => table.columns.find(({ target }) => target === name))
  const isWhole = columns.every(
    (column) => column?.conversion.kind === 'integer' && /^(?:bigint|integer|smallint)/.test(column.targetType),
  )
  if (columns.length === 0 || !isWhole) return null
  const names = columns.map((column) => column!.source)
  const isOwnKey = names.length === table.reportKey.length && names.every((name) => table.reportKey.includes(name))
  return isOwnKey ? { kind: 'columns', columns: names } : null
}

const keyTexts = (table: TablePlan, texts: readonly (string | null)[]): string =>
  table.columns.flatMap(({ target }, i) => (table.primaryKey.includes(target) ? [texts[i] ?? '~'] : [])).join('\u0000')

class TableVerifier {
  readonly #options: VerifyTableOptions
  readonly #source: SourceRows
  readonly #target: TargetRows
  readonly #walk: RowKey | null
  readonly #sourceSum = new Checksum()
  readonly #targetSum = new Checksum()
  readonly #differences: RowDifference[] = []
  readonly #counts = { rows: 0, equal: 0, mapped: 0, rejected: 0, missing: 0, extra: 0, differing: 0 }

  constructor(options: VerifyTableOptions) {
    const { database, client, table, rejected } = options
    this.#options = options
    this.#walk = stretchKey(table)
    this.#source = new SourceRows(database, client, table, this.#walk ?? table.rowKey, rejected)
    this.#target = new TargetRows(client, table, undefined, options.canonical)
  }

  async run(): Promise<TableVerification> {
    await (this.#walk ? this.#byStretches() : this.#byBuckets())
    const { source, targetSchema, target } = this.#options.table
    return {
      table: source,
      target: `${targetSchema}.${target}`,
      ...this.#counts,
      sourceChecksum: this.#sourceSum.value,
      targetChecksum: this.#targetSum.value,
      differences: this.#differences,
    }
  }

  /** Counts a row of the file that no checksum contradicts. */
  #count(row: ExpectedRow, tally: Tally = this.#counts): void {
    const isReplaced = this.#options.replaced.size > 0 && !row.rejected && this.#options.replaced.has(row.printedKey())
    tally.rows++
    if (row.rejected) tally.rejected++
    else if (row.mapped || isReplaced) tally.mapped++
    else tally.equal++
  }

  #addTally({ rows, equal, mapped, rejected }: Tally): void {
    this.#counts.rows += rows
    this.#counts.equal += equal
    this.#counts.mapped += mapped
    this.#counts.rejected += rejected
  }

  /** Stretch by stretch: Postgres adds up one while the file's next is read; rows themselves are looked at only where the sums differ. */
  async #byStretches(): Promise<void> {
    let after: Key | null = null
    let settle = async (): Promise<void> => {}
    for (let done = false; !done; ) {
      this.#options.signal.throwIfAborted()
      const from: Key | null = after
      const tally = emptyTally()
      const read = await this.#source.summarize(from, rowsPerStretch, (row) => this.#count(row, tally))
      await settle()
      const stretch: KeyStretch = { after: keyText(from), until: read.done ? null : keyText(read.last) }
      const answer = this.#target.checksum(stretch)
      settle = async () => this.#settle(from, stretch, read, tally, await answer)
      await setImmediate()
      ;({ done, last: after } = read)
    }
    await settle()
  }

  async #settle(from: Key | null, stretch: KeyStretch, read: SourceSummary, tally: Tally, targetSum: Checksum): Promise<void> {
    this.#sourceSum.addAll(read.sum)
    this.#targetSum.addAll(targetSum)
    if (read.isPossible && read.sum.equals(targetSum)) this.#addTally(tally)
    else this.#compare((await this.#source.next(from, rowsPerStretch)).rows, await this.#target.rows(stretch))
    this.#options.onProgress(this.#counts.rows)
  }

  /** For keys whose order differs on the two sides, and for tables without any: parts by hash, over the whole table. */
  async #byBuckets(): Promise<void> {
    const buckets = 2 ** Math.ceil(Math.log2(Math.max(1, this.#options.table.rows / rowsPerBucket)))
    const targetSums = await this.#target.bucketChecksums(buckets)
    const parts = targetSums.map(() => ({ sum: new Checksum(), tally: emptyTally() }))
    const partOf = (row: ExpectedRow): number => (row.texts ? hashOf(row).high % buckets : 0)
    let isPossible = true
    await this.#eachSourceRow((row) => {
      const part = parts[partOf(row)]!
      this.#count(row, part.tally)
      if (row.rejected) return
      if (row.texts) part.sum.add(hashOf(row))
      else isPossible = false
    })
    for (const { sum } of parts) this.#sourceSum.addAll(sum)
    for (const sum of targetSums) this.#targetSum.addAll(sum)
    const wanted = parts.flatMap(({ sum }, i) => (sum.equals(targetSums[i]!) && (isPossible || i > 0) ? [] : [i]))
    for (const [i, { tally }] of parts.entries()) if (!wanted.includes(i)) this.#addTally(tally)
    if (wanted.length === 0) return
    const doubtful: ExpectedRow[] = []
    await this.#eachSourceRow((row) => {
      if (wanted.includes(partOf(row))) doubtful.push(row)
    })
    this.#compare(doubtful, await this.#target.bucketRows(buckets, wanted))
  }

  async #eachSourceRow(visit: (row: ExpectedRow) => void): Promise<void> {
    let after: Key | null = null
    for (let done = false; !done; ) {
      this.#options.signal.throwIfAborted()
      const read = await this.#source.next(after, rowsPerStretch)
      for (const row of read.rows) visit(row)
      this.#options.onProgress(read.rows.length)
      ;({ done } = read)
      after = read.rows.at(-1)?.key ?? after
    }
  }

  /** Pairs the rows of both sides by key (by content where there is none) and tells them apart. */
  #compare(expected: readonly ExpectedRow[], present: readonly TargetRow[]): void {
    const { table } = this.#options
    const nameOf = (texts: readonly (string | null)[]): string =>
      table.primaryKey.length > 0 ? keyTexts(table, texts) : texts.join('\u0000')
    const byKey = new Map<string, TargetRow[]>()
    for (const row of present) {
      const name = nameOf(row.texts)
      byKey.set(name, [...(byKey.get(name) ?? []), row])
    }
    for (const row of expected) {
      const partner = row.texts && !row.rejected ? byKey.get(nameOf(row.texts))?.pop() : undefined
      if (row.rejected) this.#count(row)
      else if (!row.texts || !partner) this.#miss(row)
      else if (row.texts.every((text, i) => text === partner.texts[i])) this.#count(row)
      else this.#differ(row, partner)
    }
    for (const rows of byKey.values()) for (const row of rows) this.#add(row)
  }

  #note(difference: RowDifference): void {
    if (this.#differences.length < this.#options.maxDifferences) this.#differences.push(difference)
  }

  #miss(row: ExpectedRow): void {
    this.#counts.rows++
    this.#counts.missing++
    this.#note({ key: row.printedKey(), state: 'missing', columns: [] })
  }

  #add(row: TargetRow): void {
    this.#counts.extra++
    const { table } = this.#options
    const key = table.columns.flatMap(({ target }, i) => (table.primaryKey.includes(target) ? [`${target}=${row.texts[i]}`] : []))
    this.#note({ key: key.join(', ') || row.texts.join(', ').slice(0, 200), state: 'extra', columns: [] })
  }

  #differ(row: ExpectedRow, partner: TargetRow): void {
    this.#counts.rows++
    this.#counts.differing++
    const columns = this.#options.table.columns.flatMap(({ source }, i) => {
      const [from, to] = [row.texts![i] ?? null, partner.texts[i] ?? null]
      return from === to ? [] : [{ column: source, source: from, target: to }]
    })
    this.#note({ key: row.printedKey(), state: 'differs', columns })
  }
}

/** Verifies one table. */
export const verifyTable = (options: VerifyTableOptions): Promise<TableVerification> => new TableVerifier(options).run()

/** Asks Postgres for checksums and rows in the canonical form. */
import type pg from 'pg'
import type { TablePlan } from '../move.js'
import { quoteIdentifier } from '../translate/identifiers.js'
import { Checksum, type RowHash } from './checksum.js'
import { canonicalSql, rowTextSql } from './target-canonical.js'

/** A stretch of whole-number keys: after one, up to and including another. */
export interface KeyStretch {
  readonly after: readonly string[] | null
  readonly until: readonly string[] | null
}

export interface TargetRow {
  readonly key: string
  readonly hash: RowHash
  readonly texts: readonly (string | null)[]
}

const halves = "('x' || substr(h, 1, 8))::bit(32)::bigint AS high, ('x' || substr(h, 9, 8))::bit(32)::bigint AS low"

export class TargetRows {
  readonly #client: pg.Client
  readonly #table: TablePlan
  readonly #canonical: string
  readonly #text: string

  constructor(client: pg.Client, table: TablePlan) {
    this.#client = client
    this.#table = table
    this.#canonical = table.columns.map((column, i) => `${canonicalSql(column)} AS c${i}`).join(', ')
    this.#text = rowTextSql(table.columns)
  }

  get #name(): string {
    return `${quoteIdentifier(this.#table.targetSchema)}.${quoteIdentifier(this.#table.target)}`
  }

  /** OFFSET 0 keeps Postgres from computing each canonical text twice. */
  #hashed(where: string, extra = ''): string {
    return `SELECT md5(${this.#text}) AS h${extra} FROM (SELECT ${this.#canonical}${this.#canonical ? '' : '1'} FROM ${this.#name} AS t ${where} OFFSET 0) AS r`
  }

  #where({ after, until }: KeyStretch): { readonly sql: string; readonly values: string[] } {
    const columns = this.#table.primaryKey.map((column) => `t.${quoteIdentifier(column)}`).join(', ')
    const values: string[] = []
    const bound = (operator: string, key: readonly string[] | null) =>
      key ? [`(${columns}) ${operator} (${key.map((part) => `$${values.push(part)}::bigint`).join(', ')})`] : []
    const conditions = [...bound('>', after), ...bound('<=', until)]
    return { sql: conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '', values }
  }

  /** The checksum of a stretch of keys. */
  async checksum(stretch: KeyStretch): Promise<Checksum> {
    const where = this.#where(stretch)
    const { rows } = await this.#client.query<{ rows: string; high: string; low: string }>(
      `SELECT count(*) AS rows, coalesce(sum(high), 0) AS high, coalesce(sum(low), 0) AS low FROM (SELECT ${halves} FROM (${this.#hashed(where.sql)}) AS s) AS q`,
      where.values,
    )
    const checksum = new Checksum()
    for (const sums of rows) checksum.addSums(Number(sums.rows), sums.high, sums.low)
    return checksum
  }

  /** The checksums of all rows, parted by the first bits of their hashes into `buckets` (a power of two) parts. */
  async bucketChecksums(buckets: number): Promise<Checksum[]> {
    const checksums = Array.from({ length: buckets }, () => new Checksum())
    const { rows } = await this.#client.query<{ bucket: string; rows: string; high: string; low: string }>(
      `SELECT high & ${buckets - 1} AS bucket, count(*) AS rows, sum(high) AS high, sum(low) AS low
         FROM (SELECT ${halves} FROM (${this.#hashed('')}) AS s) AS q GROUP BY 1`,
    )
    for (const sums of rows) checksums[Number(sums.bucket)]!.addSums(Number(sums.rows), sums.high, sums.low)
    return checksums
  }

  #toRow(texts: readonly (string | null)[], h: string): TargetRow {
    const key = this.#table.columns
      .flatMap(({ target }, i) => (this.#table.primaryKey.includes(target) ? [texts[i] ?? '~'] : []))
      .join('\u0000')
    return { key, texts, hash: { high: Number.parseInt(h.slice(0, 8), 16), low: Number.parseInt(h.slice(8, 16), 16) } }
  }

  async #rows(where: string, filter: string, values: readonly unknown[]): Promise<TargetRow[]> {
    const columns = this.#table.columns.map((_column, i) => `c${i}`).join(', ')
    const { rows } = await this.#client.query<(string | null)[]>({
      text: `SELECT * FROM (${this.#hashed(where, columns && `, ${columns}`)}) AS s ${filter}`,
      values: [...values],
      rowMode: 'array',
    })
    return rows.map(([h, ...texts]) => this.#toRow(texts, h!))
  }

  /** The rows of a stretch of keys. */
  rows(stretch: KeyStretch): Promise<TargetRow[]> {
    const where = this.#where(stretch)
    return this.#rows(where.sql, '', where.values)
  }

  /** The rows of some buckets. */
  bucketRows(buckets: number, wanted: readonly number[]): Promise<TargetRow[]> {
    return this.#rows('', `WHERE ('x' || substr(h, 1, 8))::bit(32)::bigint & ${buckets - 1} = ANY ($1)`, [wanted])
  }
}

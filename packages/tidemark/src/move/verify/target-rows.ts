/** Asks Postgres for checksums and rows in the canonical form. */
import type pg from 'pg'
import type { ColumnPlan, TablePlan } from '../move.js'
import { quoteIdentifier } from '../translate/identifiers.js'
import { Checksum, type RowHash } from './checksum.js'
import { canonicalParameter, canonicalSql, fromCanonicalSql, rowTextSql } from './target-canonical.js'

/** A stretch of whole-number keys: after one, up to and including another. */
export interface KeyStretch {
  readonly after: readonly string[] | null
  readonly until: readonly string[] | null
}

/** A row by its key's canonical texts, and its hash. */
export interface TargetHash {
  readonly key: readonly string[]
  readonly hash: RowHash
}

export interface TargetRow {
  readonly key: string
  readonly hash: RowHash
  readonly texts: readonly (string | null)[]
}

const halves = "('x' || substr(h, 1, 8))::bit(32)::bigint AS high, ('x' || substr(h, 9, 8))::bit(32)::bigint AS low"

const hashFrom = (md5: string): RowHash => ({
  high: Number.parseInt(md5.slice(0, 8), 16),
  low: Number.parseInt(md5.slice(8, 16), 16),
})

export class TargetRows {
  readonly #client: pg.Client
  readonly #table: TablePlan
  readonly #key: readonly ColumnPlan[]
  readonly #canonical: string
  readonly #text: string

  /**
   * `key` tells rows apart, in the order of stretches; the primary key where none is given. `canonical` reads the columns that are no key,
   * where not as usual.
   */
  constructor(client: pg.Client, table: TablePlan, key?: readonly ColumnPlan[], canonical = canonicalSql) {
    this.#client = client
    this.#table = table
    this.#key = key ?? table.primaryKey.flatMap((name) => table.columns.find(({ target }) => target === name) ?? [])
    const reading = (column: ColumnPlan) => (this.#key.includes(column) ? canonicalSql(column) : canonical(column))
    this.#canonical = table.columns.map((column, i) => `${reading(column)} AS c${i}`).join(', ')
    this.#text = rowTextSql(table.columns)
  }

  get #name(): string {
    return `${quoteIdentifier(this.#table.targetSchema)}.${quoteIdentifier(this.#table.target)}`
  }

  /** OFFSET 0 keeps Postgres from computing each canonical text twice. */
  #hashed(where: string, extra = ''): string {
    return `SELECT md5(${this.#text}) AS h${extra} FROM (SELECT ${this.#canonical}${this.#canonical ? '' : '1'} FROM ${this.#name} AS t ${where} OFFSET 0) AS r`
  }

  get #keyColumns(): string {
    return this.#key.map(({ target }) => `t.${quoteIdentifier(target)}`).join(', ')
  }

  #where({ after, until }: KeyStretch): { readonly sql: string; readonly values: string[] } {
    const columns = this.#keyColumns
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
    const key = this.#key.map((column) => texts[this.#table.columns.indexOf(column)] ?? '~').join('\u0000')
    return { key, texts, hash: hashFrom(h) }
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

  /** Joins the rows of some keys, given by their canonical texts. */
  #joined(keys: readonly (readonly string[])[]): { readonly sql: string; readonly values: string[][] } {
    const names = this.#key.map((_column, i) => `x${i}`)
    const matches = this.#key.map(
      (column, i) => `t.${quoteIdentifier(column.target)} = ${fromCanonicalSql(column, `k.${names[i]}`)}`,
    )
    const arrays = names.map((_name, i) => `$${i + 1}::text[]`).join(', ')
    return {
      sql: `JOIN unnest(${arrays}) AS k(${names.join(', ')}) ON ${matches.join(' AND ')}`,
      values: this.#key.map((column, i) => keys.map((key) => canonicalParameter(column, key[i]!))),
    }
  }

  /** The rows of some keys. */
  async rowsAt(keys: readonly (readonly string[])[]): Promise<TargetRow[]> {
    if (keys.length === 0) return []
    const { sql, values } = this.#joined(keys)
    return this.#rows(sql, '', values)
  }

  async #hashes(where: string, filter: string, values: readonly unknown[]): Promise<TargetHash[]> {
    const names = this.#key.map((column) => `c${this.#table.columns.indexOf(column)}`).join(', ')
    const { rows } = await this.#client.query<[string, ...string[]]>({
      text: `SELECT * FROM (${this.#hashed(where, `, ${names}`)}) AS s ${filter}`,
      values: [...values],
      rowMode: 'array',
    })
    return rows.map(([h, ...key]) => ({ key, hash: hashFrom(h) }))
  }

  /** The hashes of the rows of some keys. */
  async hashesAt(keys: readonly (readonly string[])[]): Promise<TargetHash[]> {
    if (keys.length === 0) return []
    const { sql, values } = this.#joined(keys)
    return this.#hashes(sql, '', values)
  }

  /** The hashes of the first rows of a stretch of keys, in their order. */
  hashes(stretch: KeyStretch, limit: number): Promise<TargetHash[]> {
    const { sql, values } = this.#where(stretch)
    const isKeyed = this.#key.map(({ target }) => `t.${quoteIdentifier(target)} IS NOT NULL`).join(' AND ')
    const where = `${sql === '' ? 'WHERE' : `${sql} AND`} ${isKeyed}`
    return this.#hashes(`${where} ORDER BY ${this.#keyColumns} LIMIT ${limit}`, '', values)
  }

  /** How many rows have no key at all. */
  async countWithoutKey(): Promise<number> {
    const isUnkeyed = this.#key.map(({ target }) => `t.${quoteIdentifier(target)} IS NULL`).join(' OR ')
    const { rows } = await this.#client.query<{ count: string }>(
      `SELECT count(*) AS count FROM ${this.#name} AS t WHERE ${isUnkeyed}`,
    )
    return Number(rows[0]?.count ?? 0)
  }

  /** The next keys after one, in Postgres' own order, as canonical texts. */
  async keysAfter(after: readonly string[] | null, limit: number): Promise<string[][]> {
    const values = after?.map((text, i) => canonicalParameter(this.#key[i]!, text)) ?? []
    const bounds = this.#key.map((column, i) => fromCanonicalSql(column, `$${i + 1}::text`)).join(', ')
    const { rows } = await this.#client.query<string[]>({
      text: `SELECT ${this.#key.map(canonicalSql).join(', ')} FROM ${this.#name} AS t
              ${after ? `WHERE (${this.#keyColumns}) > (${bounds})` : ''} ORDER BY ${this.#keyColumns} LIMIT ${limit}`,
      values,
      rowMode: 'array',
    })
    return rows
  }

  /** The rows of some buckets. */
  bucketRows(buckets: number, wanted: readonly number[]): Promise<TargetRow[]> {
    return this.#rows('', `WHERE ('x' || substr(h, 1, 8))::bit(32)::bigint & ${buckets - 1} = ANY ($1)`, [wanted])
  }
}

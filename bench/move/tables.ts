/** The tables of the generated file, and how each is spelled in SQLite, in Postgres and for the raw pipe. */

export interface BenchColumn {
  readonly name: string
  readonly sqlite: string
  /** What the raw pipe copies into; the same type that Tidemark decides on. */
  readonly postgres: string
  readonly nullable?: true
}

export interface BenchTable {
  readonly name: string
  /** Its part of all rows. The largest table gets what rounding leaves. */
  readonly share: number
  readonly columns: readonly BenchColumn[]
  readonly primaryKey: readonly string[]
  readonly indexes: readonly { readonly columns: readonly string[]; readonly unique?: true }[]
  readonly foreignKeys: readonly { readonly column: string; readonly parent: string; readonly parentColumn: string }[]
}

const column = (name: string, sqlite: string, postgres: string): BenchColumn => ({ name, sqlite, postgres })
const optional = (name: string, sqlite: string, postgres: string): BenchColumn => ({ name, sqlite, postgres, nullable: true })
const integer = (name: string): BenchColumn => column(name, 'INTEGER', 'bigint')
const text = (name: string): BenchColumn => column(name, 'TEXT', 'text')
const moment = 'timestamp without time zone'

/** Text for keys. */
const customers: BenchTable = {
  name: 'customers',
  share: 0.03,
  columns: [
    text('code'),
    text('name'),
    text('email'),
    text('country'),
    column('is_active', 'BOOLEAN', 'boolean'),
    column('created_at', 'DATETIME', moment),
  ],
  primaryKey: ['code'],
  indexes: [],
  foreignKeys: [],
}

const products: BenchTable = {
  name: 'products',
  share: 0.005,
  columns: [
    integer('id'),
    text('sku'),
    text('title'),
    column('price', 'DECIMAL(10,2)', 'numeric(10,2)'),
    column('weight', 'REAL', 'double precision'),
  ],
  primaryKey: ['id'],
  indexes: [{ columns: ['sku'], unique: true }],
  foreignKeys: [],
}

/** Wide: dates, text, decimals, NULLs, foreign keys. */
const orders: BenchTable = {
  name: 'orders',
  share: 0.14,
  columns: [
    integer('id'),
    text('customer_code'),
    text('status'),
    column('ordered_at', 'DATETIME', moment),
    optional('shipped_at', 'DATETIME', moment),
    column('due_on', 'DATE', 'date'),
    column('total', 'DECIMAL(12,2)', 'numeric(12,2)'),
    column('freight', 'DECIMAL(10,2)', 'numeric(10,2)'),
    column('weight', 'REAL', 'double precision'),
    integer('items'),
    text('ship_name'),
    text('ship_city'),
    text('ship_country'),
    optional('remark', 'TEXT', 'text'),
  ],
  primaryKey: ['id'],
  indexes: [{ columns: ['customer_code'] }, { columns: ['ordered_at'] }],
  foreignKeys: [{ column: 'customer_code', parent: 'customers', parentColumn: 'code' }],
}

/** Narrow, with a key of two columns. */
const orderLines: BenchTable = {
  name: 'order_lines',
  share: 0.8225,
  columns: [
    integer('order_id'),
    integer('line_no'),
    integer('product_id'),
    integer('quantity'),
    column('unit_price', 'DECIMAL(10,2)', 'numeric(10,2)'),
  ],
  primaryKey: ['order_id', 'line_no'],
  indexes: [{ columns: ['product_id'] }],
  foreignKeys: [
    { column: 'order_id', parent: 'orders', parentColumn: 'id' },
    { column: 'product_id', parent: 'products', parentColumn: 'id' },
  ],
}

const documents: BenchTable = {
  name: 'documents',
  share: 0.0025,
  columns: [integer('id'), integer('order_id'), text('media_type'), column('content', 'BLOB', 'bytea')],
  primaryKey: ['id'],
  indexes: [{ columns: ['order_id'] }],
  foreignKeys: [{ column: 'order_id', parent: 'orders', parentColumn: 'id' }],
}

/** Parents first. */
export const benchTables: readonly BenchTable[] = [customers, products, orders, orderLines, documents]

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
const list = (names: readonly string[]): string => names.map(quoted).join(', ')
const notNull = ({ nullable }: BenchColumn): string => (nullable ? '' : ' NOT NULL')

/** How many rows each table has out of `total`. */
export const rowCounts = (total: number): ReadonlyMap<string, number> => {
  const counts = new Map(benchTables.map(({ name, share }) => [name, Math.max(1, Math.floor(total * share))]))
  const rest = total - [...counts.values()].reduce((sum, count) => sum + count, 0)
  return counts.set(orderLines.name, counts.get(orderLines.name)! + rest)
}

/** A lone integer key is SQLite's row id, as most files have it. */
const isRowId = ({ primaryKey, columns }: BenchTable): boolean =>
  primaryKey.length === 1 && columns.find(({ name }) => name === primaryKey[0])?.sqlite === 'INTEGER'

const indexName = (table: BenchTable, columns: readonly string[]): string => [table.name, ...columns].join('_')

/** CREATE TABLE and CREATE INDEX for the file. */
export const sqliteSchema = (table: BenchTable): { readonly create: string; readonly indexes: readonly string[] } => {
  const rowId = isRowId(table)
  const columns = table.columns.map(
    (one) => `${quoted(one.name)} ${one.sqlite}${rowId && one.name === table.primaryKey[0] ? ' PRIMARY KEY' : ''}${notNull(one)}`,
  )
  const parents = table.foreignKeys.map(
    ({ column: child, parent, parentColumn }) =>
      `FOREIGN KEY (${quoted(child)}) REFERENCES ${quoted(parent)} (${quoted(parentColumn)})`,
  )
  const key = rowId ? [] : [`PRIMARY KEY (${list(table.primaryKey)})`]
  return {
    create: `CREATE TABLE ${quoted(table.name)} (${[...columns, ...key, ...parents].join(', ')})`,
    indexes: table.indexes.map(
      ({ columns: on, unique }) =>
        `CREATE ${unique ? 'UNIQUE ' : ''}INDEX ${quoted(indexName(table, on))} ON ${quoted(table.name)} (${list(on)})`,
    ),
  }
}

/** CREATE TABLE without any key. */
export const postgresTable = (schema: string, table: BenchTable): string => {
  const columns = table.columns.map((one) => `${quoted(one.name)} ${one.postgres}${notNull(one)}`)
  return `CREATE TABLE ${quoted(schema)}.${quoted(table.name)} (${columns.join(', ')})`
}

/** Primary keys and indexes of all tables, then the foreign keys. */
export const postgresConstraints = (schema: string): readonly string[] => {
  const named = (name: string): string => `${quoted(schema)}.${quoted(name)}`
  const keys = benchTables.flatMap((table) => [
    `ALTER TABLE ${named(table.name)} ADD PRIMARY KEY (${list(table.primaryKey)})`,
    ...table.indexes.map(
      ({ columns, unique }) =>
        `CREATE ${unique ? 'UNIQUE ' : ''}INDEX ${quoted(indexName(table, columns))} ON ${named(table.name)} (${list(columns)})`,
    ),
  ])
  const parents = benchTables.flatMap(({ name, foreignKeys }) =>
    foreignKeys.map(
      ({ column: child, parent, parentColumn }) =>
        `ALTER TABLE ${named(name)} ADD FOREIGN KEY (${quoted(child)}) REFERENCES ${named(parent)} (${quoted(parentColumn)})`,
    ),
  )
  return [...keys, ...parents]
}

/** The two ends of the raw pipe. A blob has no form in CSV, so it is written as Postgres reads it. */
export const pipeSql = (schema: string, table: BenchTable): { readonly select: string; readonly copy: string } => ({
  select: `SELECT ${table.columns
    .map(({ name, sqlite }) => (sqlite === 'BLOB' ? `'\\x' || hex(${quoted(name)})` : quoted(name)))
    .join(', ')} FROM ${quoted(table.name)}`,
  copy: `COPY ${quoted(schema)}.${quoted(table.name)} FROM STDIN (FORMAT csv)`,
})

/** One table in both systems, holding the same values, for tests that evaluate the same expression on either side. */
import Sqlite from 'better-sqlite3'
import type pg from 'pg'
import { introspect } from '../../../sqlite/introspect.js'
import type { SqliteTable } from '../../../sqlite/sqlite.js'
import type { Conversion } from '../../move.js'
import { quoteIdentifier } from '../identifiers.js'
import { tableContext } from '../table-context.js'
import type { ExpressionContext } from '../translation.js'

interface FixtureColumn {
  readonly name: string
  readonly declared: string
  readonly targetType: string
  readonly conversion: Conversion
  readonly values: readonly (null | bigint | number | string | Buffer)[]
  /** How Postgres is given a value; as it is where left out. */
  readonly toTarget?: (value: bigint | number | string | Buffer) => string
}

const moment = (format: Partial<{ separator: ' ' | 'T'; fraction: number; zone: string }>) => ({
  separator: ' ' as const,
  seconds: true,
  fraction: 0,
  zone: 'none',
  ...format,
})

const words = [
  null,
  '',
  ' ',
  'a',
  'A',
  'b',
  'B',
  'ab',
  'aB ',
  'é',
  'É',
  'ß',
  'Z',
  '_',
  '%',
  'a%b',
  'a_b',
  "it's",
  'a\\b',
  '10',
  '5',
  'naïve 数 😀',
  '[x]',
  'yes',
  'no',
]
const moments = [
  null,
  '2024-01-01 00:00:00',
  '2024-01-01 00:00:01',
  '2023-12-31 23:59:59',
  '2024-02-29 12:30:00',
  '1969-07-20 20:17:40',
]

const fixtureColumns: readonly FixtureColumn[] = [
  { name: 'i', declared: 'INTEGER', targetType: 'bigint', conversion: { kind: 'integer' }, values: [null, 0n, 1n, -1n, 2n, 5n, -7n, 63n, 1000000n, 2n ** 40n] },
  { name: 'j', declared: 'INT', targetType: 'integer', conversion: { kind: 'integer' }, values: [null, 0n, 1n, -1n, 3n, -2n, 10n, 2147483647n, -2147483648n] },
  { name: 'big', declared: 'BIGINT', targetType: 'bigint', conversion: { kind: 'integer' }, values: [null, 2n ** 53n + 1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n), 0n, 7n] },
  { name: 'r', declared: 'REAL', targetType: 'double precision', conversion: { kind: 'real' }, values: [null, 0, 1, -1, 0.5, -2.5, 2.5, 0.1, 3.7, 1e10, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1 / 3], toTarget: String },
  { name: 'q', declared: 'DECIMAL(10,2)', targetType: 'numeric', conversion: { kind: 'numeric' }, values: [null, 0n, 1n, -1n, 2.5, 0.1, 19.99, -3.25, 100n, 7n], toTarget: String },
  { name: 't', declared: 'TEXT', targetType: 'text', conversion: { kind: 'text' }, values: words },
  { name: 'u', declared: 'TEXT COLLATE NOCASE', targetType: 'text', conversion: { kind: 'text' }, values: [...words].reverse() },
  { name: 'v', declared: 'VARCHAR(20) COLLATE RTRIM', targetType: 'character varying(20)', conversion: { kind: 'text' }, values: [null, 'a', 'a ', 'a  ', ' a', '', ' ', 'b', 'A', 'ab'] },
  { name: 's', declared: 'DATETIME', targetType: 'text', conversion: { kind: 'text' }, values: [null, 'now', '2024-01-01', 'x', 'Y', '2024-01-01 10:00:00', ''] },
  { name: 'z', declared: '', targetType: 'text', conversion: { kind: 'text' }, values: [null, 'a', 'B', '1', '01', '', 'zz'] },
  { name: 'o', declared: 'BLOB', targetType: 'bytea', conversion: { kind: 'bytes' }, values: [null, Buffer.from(''), Buffer.from('a'), Buffer.from([0]), Buffer.from([0, 255]), Buffer.from('ab')] },
  { name: 'f', declared: 'BOOLEAN', targetType: 'boolean', conversion: { kind: 'boolean', truthy: ['1'], falsy: ['0'] }, values: [null, 1n, 0n], toTarget: (v) => String(v === 1n) },
  { name: 'g', declared: 'TEXT', targetType: 'boolean', conversion: { kind: 'boolean', truthy: ['yes'], falsy: ['no'] }, values: [null, 'yes', 'no'], toTarget: (v) => String(v === 'yes') },
  { name: 'h', declared: 'INTEGER', targetType: 'boolean', conversion: { kind: 'boolean', truthy: ['-1'], falsy: ['0'] }, values: [null, -1n, 0n, -1n], toTarget: (v) => String(v === -1n) },
  { name: 'd', declared: 'DATE', targetType: 'date', conversion: { kind: 'date' }, values: [null, '2024-01-01', '2024-01-02', '2023-12-31', '0001-01-01', '9999-12-31'] },
  { name: 'm', declared: 'DATETIME', targetType: 'timestamp without time zone', conversion: { kind: 'timestamp', format: moment({}) }, values: moments },
  { name: 'n', declared: 'TEXT', targetType: 'timestamp without time zone', conversion: { kind: 'timestamp', format: moment({ separator: 'T', fraction: 3 }) }, values: moments.map((m) => m && `${m.replace(' ', 'T')}.250`) },
  { name: 'w', declared: 'TEXT', targetType: 'timestamp with time zone', conversion: { kind: 'timestamptz', format: moment({ separator: 'T', zone: 'Z' }), timeZone: 'UTC' }, values: moments.map((m) => m && `${m.replace(' ', 'T')}Z`) },
  { name: 'e', declared: 'TIMESTAMP', targetType: 'timestamp with time zone', conversion: { kind: 'epoch', unit: 'seconds' }, values: [null, 0n, 1n, 1704067200n, -5n, 1704067201n], toTarget: (v) => new Date(Number(v) * 1000).toISOString() },
  { name: 'k', declared: 'TEXT', targetType: 'uuid', conversion: { kind: 'uuid', form: 'dashed', namespace: '' }, values: [null, '6ba7b810-9dad-11d1-80b4-00c04fd430c8', '00000000-0000-0000-0000-000000000000'] },
  { name: 'l', declared: 'TEXT', targetType: 'uuid', conversion: { kind: 'uuid', form: 'dashless', namespace: '' }, values: [null, '6ba7b8109dad11d180b400c04fd430c8', '00000000000000000000000000000000'] },
  { name: 'x', declared: 'JSON', targetType: 'json', conversion: { kind: 'json' }, values: [null, '{}', '{"a":"x","b":5}', '{ "a" : 5 }', '{"a":true,"c":{"d":"deep"}}', '{"a":null}', '[1,"x"]', '{"a":false}', '{"a":"5"}', '{"a":1}', '{"a":0}'] },
  { name: 'y', declared: 'TEXT', targetType: 'jsonb', conversion: { kind: 'jsonb' }, values: [null, '{}', '{"a":"x"}', '{"a":1}', '{"a":"X y"}'] },
] // biome-ignore format: a table

const rowCount = 60

/** Pseudo-random and the same in every run: each value of each column stands beside many values of the others. */
const valueAt = (column: FixtureColumn, at: number, row: number) => {
  const { values } = column
  return values[(row * (at + 3) + ((row * row * (at + 7)) >> 3)) % values.length] ?? null
}

export const fixtureTable = 'fix'

/** The SQLite side, and the context for translations. */
export const createSqliteFixture = (): {
  readonly db: Sqlite.Database
  readonly table: SqliteTable
  readonly context: ExpressionContext
} => {
  const db = new Sqlite(':memory:')
  db.defaultSafeIntegers()
  const columns = fixtureColumns.map(({ name, declared }) => `"${name}" ${declared}`).join(', ')
  db.exec(`CREATE TABLE ${fixtureTable}(id INTEGER PRIMARY KEY, ${columns})`)
  const insert = db.prepare(`INSERT INTO ${fixtureTable} VALUES (?${', ?'.repeat(fixtureColumns.length)})`)
  for (let row = 0; row < rowCount; row++) insert.run(row, ...fixtureColumns.map((column, at) => valueAt(column, at, row)))
  const table = introspect(db).tables[0] as SqliteTable
  const plans = fixtureColumns.map(({ name, targetType, conversion }) => ({
    source: name,
    target: `${name} T`,
    targetType,
    conversion,
  }))
  const id = { source: 'id', target: 'id', targetType: 'bigint', conversion: { kind: 'integer' } as const }
  return { db, table, context: tableContext(table, [id, ...plans]) }
}

/** The Postgres side. Text columns sort by a language, so that a forgotten COLLATE shows. */
export const createPostgresFixture = async (client: pg.Client): Promise<void> => {
  const { rowCount: icu } = await client.query(`select from pg_collation where collname = 'und-x-icu'`)
  const typeOf = ({ targetType }: FixtureColumn) =>
    /^(?:text|character)/.test(targetType) && icu ? `${targetType} COLLATE "und-x-icu"` : targetType
  const columns = fixtureColumns.map((column) => `${quoteIdentifier(`${column.name} T`)} ${typeOf(column)}`).join(', ')
  await client.query(`create table ${fixtureTable} (id bigint primary key, ${columns})`)
  for (let row = 0; row < rowCount; row++) {
    const values = fixtureColumns.map((column, at) => {
      const value = valueAt(column, at, row)
      return value === null ? null : (column.toTarget?.(value) ?? value)
    })
    const places = values.map((_, i) => `$${i + 2}`).join(', ')
    await client.query(`insert into ${fixtureTable} values ($1, ${places})`, [row, ...values])
  }
  await client.query(`set timezone = 'Asia/Tokyo'; set datestyle = 'German, DMY'`)
}

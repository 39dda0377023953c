import Sqlite from 'better-sqlite3'
import { beforeEach, describe, expect, it } from 'vitest'
import { introspect } from '../../sqlite/introspect.js'
import type { SqliteTable } from '../../sqlite/sqlite.js'
import { foldAscii } from '../../sqlite/tokenize.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import type { Conversion } from '../move.js'
import { qualifiedName, quoteIdentifier } from './identifiers.js'
import { tableContext } from './table-context.js'
import { translateCheck } from './translate-check.js'
import { translateForeignKey } from './translate-foreign-key.js'
import { translateGenerated } from './translate-generated.js'
import { translateIndex } from './translate-index.js'
import { type Carried, isCarried, type NotCarried } from './translation.js'

const database = useDatabase()
const client = useClient(database)

const target = { schema: 'public', name: 'The Table' }

beforeEach(async () => {
  await client.query(`drop table if exists ${qualifiedName(target)}, parent cascade`)
})

const sqlOf = <T extends Carried>(translation: T | NotCarried): string => {
  if (isCarried(translation)) return translation.sql
  throw new Error(`not carried: ${translation.reason}`)
}

const byDeclaredType: Readonly<Record<string, readonly [string, Conversion]>> = {
  INTEGER: ['bigint', { kind: 'integer' }],
  SMALL: ['smallint', { kind: 'integer' }],
  REAL: ['double precision', { kind: 'real' }],
  DECIMAL: ['numeric', { kind: 'numeric' }],
  'DECIMAL(10,2)': ['numeric(10,2)', { kind: 'numeric' }],
  TEXT: ['text', { kind: 'text' }],
  BLOB: ['bytea', { kind: 'bytes' }],
  BOOLEAN: ['boolean', { kind: 'boolean', truthy: ['1'], falsy: ['0'] }],
  DATE: ['date', { kind: 'date' }],
  DATETIME: [
    'timestamp without time zone',
    { kind: 'timestamp', format: { separator: ' ', seconds: true, fraction: 0, zone: 'none' } },
  ],
  JSON: ['json', { kind: 'json' }],
  JSONB: ['jsonb', { kind: 'jsonb' }],
  MIXED: ['text', { kind: 'anyText' }],
  YESNO: ['boolean', { kind: 'boolean', truthy: ['1', 'yes'], falsy: ['0', 'no'] }],
}

interface Both {
  readonly sqlite: Sqlite.Database
  readonly table: SqliteTable
  readonly context: ReturnType<typeof tableContext>
}

/** The same table on both sides, constraints left to the test. */
const createBoth = async (ddl: string, generated: Readonly<Record<string, string>> = {}): Promise<Both> => {
  const sqlite = new Sqlite(':memory:')
  sqlite.exec(ddl)
  const table = introspect(sqlite).tables.at(-1) as SqliteTable
  const plans = table.columns.map(({ name, declaredType }) => {
    const [targetType, conversion] = byDeclaredType[declaredType] ?? ['text', { kind: 'anyText' } as const]
    return { source: name, target: `${name} T`, targetType, conversion, generatedSql: generated[name] ?? null }
  })
  const columns = plans.map(({ target: name, targetType, generatedSql }) => {
    const rule = generatedSql === null ? '' : ` GENERATED ALWAYS AS (${generatedSql}) STORED`
    return `${quoteIdentifier(name)} ${targetType}${rule}`
  })
  await client.query(`create table ${qualifiedName(target)} (${columns.join(', ')})`)
  return { sqlite, table, context: tableContext(table, plans) }
}

type Value = null | number | string
const toPostgres = (value: Value, declared: string): unknown => (declared === 'BOOLEAN' && value !== null ? value === 1 : value)

/** Whether each side takes the row. */
const insertBoth = async ({ sqlite, table }: Both, row: Readonly<Record<string, Value>>): Promise<[boolean, boolean]> => {
  const names = Object.keys(row)
  const declared = (name: string) => table.columns.find((column) => column.name === name)?.declaredType ?? ''
  const taken = (error: unknown): boolean => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (/^SQLITE_CONSTRAINT/.test(code) || /^23/.test(code)) return false
    throw error
  }
  const places = names.map(() => '?').join(', ')
  let bySqlite = true
  try {
    sqlite
      .prepare(`INSERT INTO "${table.name}"(${names.map((name) => `"${name}"`).join(', ')}) VALUES (${places})`)
      .run(...Object.values(row))
  } catch (error) {
    bySqlite = taken(error)
  }
  const columns = names.map((name) => quoteIdentifier(`${name} T`)).join(', ')
  const values = Object.entries(row).map(([name, value]) => toPostgres(value, declared(name)))
  const byPostgres = await client
    .query(`insert into ${qualifiedName(target)} (${columns}) values (${names.map((_, i) => `$${i + 1}`).join(', ')})`, values)
    .then(() => true, taken)
  return [bySqlite, byPostgres]
}

describe('checks let the same rows pass', () => {
  const cases: readonly (readonly [string, readonly Readonly<Record<string, Value>>[]])[] = [
    ["CREATE TABLE t(a TEXT CHECK (a IN ('x', 'y')))", [{ a: 'x' }, { a: 'X' }, { a: null }, { a: 'z' }]],
    ['CREATE TABLE t([a b] INTEGER, CHECK ([a b] >= (0)))', [{ 'a b': 0 }, { 'a b': -1 }, { 'a b': null }]],
    ['CREATE TABLE t(f BOOLEAN CHECK (f IN (0, 1)), CHECK (f))', [{ f: 1 }, { f: 0 }, { f: null }]],
    ["CREATE TABLE t(a INTEGER CHECK (typeof(a) = 'integer'))", [{ a: 1 }, { a: null }]],
    ["CREATE TABLE t(a INTEGER CHECK (typeof(a) IN ('integer', 'null')))", [{ a: 1 }, { a: null }]],
    ['CREATE TABLE t(a TEXT, CHECK (length(a) BETWEEN 1 AND 3))', [{ a: '' }, { a: 'abc' }, { a: 'abcd' }, { a: '数数数' }, { a: null }]],
    ["CREATE TABLE t(a TEXT, b TEXT, CHECK ((a IS NULL) <> (b IS NULL)))", [{ a: 'x', b: null }, { a: 'x', b: 'y' }, { a: null, b: null }]],
    ['CREATE TABLE t(a TEXT, b TEXT, CHECK ((a IS NOT NULL) + (b IS NOT NULL) = 1))', [{ a: 'x', b: null }, { a: 'x', b: 'y' }]],
    ["CREATE TABLE t(a TEXT CHECK (a LIKE '%_@_%' AND a NOT LIKE '% %'))", [{ a: 'me@x' }, { a: '@' }, { a: 'm e@x' }]],
    ["CREATE TABLE t(a TEXT CHECK (a GLOB '[0-9][0-9]-[A-Z]*'))", [{ a: '12-Ab' }, { a: '1-A' }, { a: '12-a' }]],
    ["CREATE TABLE t(a TEXT COLLATE NOCASE CHECK (a IN ('Red', 'green')))", [{ a: 'RED' }, { a: 'Green' }, { a: 'blue' }]],
    ['CREATE TABLE t(lo INTEGER, hi INTEGER, CHECK (lo <= hi))', [{ lo: 1, hi: 2 }, { lo: 2, hi: 1 }, { lo: null, hi: 1 }]],
    ['CREATE TABLE t(d DATE CHECK (d >= \'2000-01-01\'))', [{ d: '2000-01-01' }, { d: '1999-12-31' }]],
    ["CREATE TABLE t(m DATETIME CHECK (m > '2024-01-01'))", [{ m: '2024-01-01 00:00:00' }, { m: '2023-12-31 23:59:59' }]],
    ['CREATE TABLE t(p DECIMAL CHECK (p > 0.1))', [{ p: 0.1 }, { p: 0.11 }, { p: 1 }]],
    ['CREATE TABLE t(a INTEGER CHECK (a % 2 = 0))', [{ a: 2 }, { a: -3 }]],
    ['CREATE TABLE t(a INTEGER, b INTEGER CHECK (a / b > 1))', [{ a: 5, b: 2 }, { a: 5, b: 0 }, { a: 1, b: 1 }]],
    ['CREATE TABLE t(s SMALL CHECK (s * 1000 > 40000))', [{ s: 300 }, { s: 3 }]],
    ["CREATE TABLE t(j JSON CHECK (json_valid(j)))", [{ j: '{}' }, { j: null }]],
  ] // biome-ignore format: a table

  it.each(cases)('%s', async (ddl, rows) => {
    const both = await createBoth(ddl)
    for (const [i, check] of both.table.checks.entries())
      await client.query(sqlOf(translateCheck(check, both.context, { table: target, name: `check ${i}` })))
    for (const row of rows) {
      const [bySqlite, byPostgres] = await insertBoth(both, row)
      expect(byPostgres, JSON.stringify(row)).toBe(bySqlite)
    }
    both.sqlite.close()
  })

  it('may be added without a look at the rows that stand there', async () => {
    const both = await createBoth('CREATE TABLE t(a INTEGER, CHECK (a > 0))')
    await client.query(`insert into ${qualifiedName(target)} values (-1)`)
    const check = both.table.checks[0]!
    await client.query(sqlOf(translateCheck(check, both.context, { table: target, name: 'c', notValid: true })))
    await expect(client.query(`insert into ${qualifiedName(target)} values (-1)`)).rejects.toThrow(/violates check/)
    both.sqlite.close()
  })
})

describe('generated columns hold the same values', () => {
  const cases: readonly (readonly [string, readonly Readonly<Record<string, Value>>[]])[] = [
    ['CREATE TABLE t(a TEXT, g TEXT AS (lower(a)))', [{ a: 'ÀBC' }, { a: null }]],
    ["CREATE TABLE t(a TEXT, b TEXT, g TEXT AS (a || ' ' || b) STORED)", [{ a: 'x', b: 'y' }, { a: 'x', b: null }]],
    ['CREATE TABLE t(a INTEGER, b INTEGER, g INTEGER AS (a * b + 1))', [{ a: 3, b: 4 }, { a: null, b: 1 }]],
    ['CREATE TABLE t(a INTEGER, g INTEGER AS (a / 2))', [{ a: -7 }, { a: 7 }]],
    ['CREATE TABLE t(a REAL, b INTEGER, g REAL AS (a * b))', [{ a: 0.1, b: 3 }, { a: 2.5, b: 0 }]],
    ['CREATE TABLE t(a DECIMAL, b INTEGER, g DECIMAL AS (a * b))', [{ a: 0.1, b: 3 }, { a: 19.99, b: 2 }]],
    ['CREATE TABLE t(a INTEGER, g BOOLEAN AS (a > 5))', [{ a: 6 }, { a: 5 }, { a: null }]],
    ['CREATE TABLE t(a INTEGER, g INTEGER AS (a > 5))', [{ a: 6 }, { a: 5 }]],
    ['CREATE TABLE t(a TEXT, g INTEGER AS (length(a)), h INTEGER AS (g + 1))', [{ a: 'abc' }]],
    ["CREATE TABLE t(a INTEGER, g TEXT AS (CASE WHEN a > 0 THEN 'up' ELSE 'down' END))", [{ a: 1 }, { a: 0 }, { a: null }]],
    ["CREATE TABLE t(a TEXT, g TEXT AS (coalesce(a, 'none')))", [{ a: null }, { a: 'x' }]],
    ['CREATE TABLE t(a INTEGER, g TEXT AS (a))', [{ a: 5 }]],
    ['CREATE TABLE t(a REAL, g REAL AS (round(a)))', [{ a: 2.5 }, { a: -2.5 }, { a: 0.4 }]],
    ["CREATE TABLE t(j JSON, g TEXT AS (json_extract(j, '$.name')))", [{ j: '{"name":"x"}' }, { j: '{"name":5}' }, { j: '{"name":true}' }, { j: '{"name":null}' }, { j: '{}' }, { j: null }]],
    ["CREATE TABLE t(j JSONB, g TEXT AS (j ->> '$.a.b'))", [{ j: '{"a":{"b":"x"}}' }, { j: '{"a":{"b":false}}' }, { j: '{"a":1}' }]],
    ['CREATE TABLE t(a DATE, g DATE AS (a))', [{ a: '2024-01-01' }]],
  ] // biome-ignore format: a table

  it.each(cases)('%s', async (ddl, rows) => {
    const bare = new Sqlite(':memory:')
    bare.exec(ddl)
    const facts = introspect(bare).tables[0] as SqliteTable
    bare.close()
    const generated: Record<string, string> = {}
    for (const column of facts.columns.filter((each) => each.generated)) {
      const plans = facts.columns.map(({ name, declaredType }) => {
        const [targetType, conversion] = byDeclaredType[declaredType]!
        return { source: name, target: `${name} T`, targetType, conversion, generatedSql: generated[name] ?? null }
      })
      const [targetType, conversion] = byDeclaredType[column.declaredType]!
      const into = { source: column.name, targetType, conversion, affinity: column.affinity }
      generated[column.name] = sqlOf(translateGenerated(column.generated?.expression ?? '', tableContext(facts, plans), into))
    }
    const both = await createBoth(ddl, generated)
    for (const row of rows) await insertBoth(both, row)
    const names = Object.keys(generated)
    const expected = both.sqlite
      .prepare(`SELECT ${names.join(', ')} FROM t ORDER BY rowid`)
      .raw()
      .all() as Value[][]
    const found = await client.query<unknown[]>({
      text: `select ${names.map((name) => quoteIdentifier(`${name} T`)).join(', ')} from ${qualifiedName(target)}`,
      rowMode: 'array',
    })
    const plain = (value: unknown, i: number): unknown => {
      if (value instanceof Date)
        return `${value.getFullYear()}-${String(value.getMonth() + 1).padStart(2, '0')}-${String(value.getDate()).padStart(2, '0')}`
      if (typeof value === 'boolean') return Number(value)
      return typeof value === 'string' && typeof expected.find((row) => row[i] !== null)?.[i] === 'number' ? Number(value) : value
    }
    expect(found.rows.map((row) => row.map(plain))).toEqual(expected)
    both.sqlite.close()
  })
})

describe('indexes are made, and unique ones refuse the same rows', () => {
  const cases: readonly (readonly [string, readonly Readonly<Record<string, Value>>[]])[] = [
    ['CREATE TABLE t(a TEXT COLLATE NOCASE UNIQUE)', [{ a: 'Alice' }, { a: 'ALICE' }, { a: 'É' }, { a: 'é' }, { a: null }, { a: null }]],
    ['CREATE TABLE t(a TEXT COLLATE RTRIM UNIQUE)', [{ a: 'x' }, { a: 'x  ' }, { a: ' x' }]],
    ['CREATE TABLE t(a TEXT, b INTEGER, UNIQUE (a, b))', [{ a: 'x', b: 1 }, { a: 'x', b: 1 }, { a: 'x', b: null }, { a: 'x', b: null }, { a: 'X', b: 1 }]],
    ['CREATE TABLE t(a TEXT, b INTEGER); CREATE UNIQUE INDEX i ON t(a) WHERE b = 1', [{ a: 'x', b: 1 }, { a: 'x', b: 2 }, { a: 'x', b: 1 }]],
    ['CREATE TABLE t(a TEXT, b BOOLEAN); CREATE UNIQUE INDEX i ON t(a) WHERE b', [{ a: 'x', b: 1 }, { a: 'x', b: 0 }, { a: 'x', b: 1 }]],
    ['CREATE TABLE t(a TEXT); CREATE UNIQUE INDEX i ON t(lower(a))', [{ a: 'x' }, { a: 'X' }, { a: 'É' }, { a: 'é' }]],
    ['CREATE TABLE t(a TEXT); CREATE UNIQUE INDEX i ON t(a COLLATE NOCASE DESC)', [{ a: 'x' }, { a: 'X' }]],
    ['CREATE TABLE t(a TEXT, b TEXT); CREATE UNIQUE INDEX i ON t(a || b)', [{ a: 'x', b: 'yz' }, { a: 'xy', b: 'z' }, { a: 'x', b: null }, { a: 'x', b: null }]],
    ['CREATE TABLE t(a TEXT, d DATETIME); CREATE UNIQUE INDEX i ON t(a) WHERE d IS NULL', [{ a: 'x', d: null }, { a: 'x', d: '2024-01-01 00:00:00' }, { a: 'x', d: null }]],
    ["CREATE TABLE t(a TEXT, d DATETIME); CREATE UNIQUE INDEX i ON t(a) WHERE d >= '2024-01-01'", [{ a: 'x', d: '2024-01-01 00:00:00' }, { a: 'x', d: '2023-01-01 00:00:00' }, { a: 'x', d: '2024-06-01 00:00:00' }]],
    ['CREATE TABLE t(a INTEGER, b REAL); CREATE INDEX i ON t(b DESC, a); CREATE UNIQUE INDEX u ON t(a, b)', [{ a: 1, b: 0.5 }, { a: 1, b: 0.5 }]],
    ['CREATE TABLE t(a TEXT, b TEXT, PRIMARY KEY (a, b))', [{ a: 'x', b: 'y' }, { a: 'x', b: 'y' }]],
    ['CREATE TABLE t(a DECIMAL(10,2) UNIQUE)', [{ a: 1 }, { a: 1.5 }, { a: 1.5 }]],
    ["CREATE TABLE t(j JSON, k JSONB); CREATE INDEX i ON t(json_extract(j, '$.name')); CREATE INDEX k ON t(k ->> 'a') WHERE json_extract(k, '$.b') = 'x'; CREATE INDEX l ON t(k)", [{ j: '{}', k: '{}' }]],
    ['CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t(b, a) WHERE a > 5 AND b IS NOT NULL', [{ a: 1, b: 'x' }]],
    ['CREATE TABLE t(a MIXED, b YESNO); CREATE INDEX i ON t(a, b)', [{ a: 'x', b: null }]],
  ] // biome-ignore format: a table

  it.each(cases)('%s', async (ddl, rows) => {
    const both = await createBoth(ddl)
    for (const [i, index] of both.table.indexes.entries())
      await client.query(sqlOf(translateIndex(index, both.context, { table: target, name: `index ${i}` })))
    for (const row of rows) {
      const [bySqlite, byPostgres] = await insertBoth(both, row)
      expect(byPostgres, JSON.stringify(row)).toBe(bySqlite)
    }
    both.sqlite.close()
  })
})

describe('foreign keys', () => {
  it('are made with their actions and hold', async () => {
    const sqlite = new Sqlite(':memory:')
    sqlite.exec(`CREATE TABLE parent(a INT, b TEXT, PRIMARY KEY (a, b));
      CREATE TABLE t(x INT, y TEXT, FOREIGN KEY (x, y) REFERENCES Parent ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED)`)
    const [parentTable, table] = introspect(sqlite).tables as [SqliteTable, SqliteTable]
    sqlite.close()
    await client.query(
      `create table parent (a bigint, b text, primary key (a, b)); create table ${qualifiedName(target)} ("x T" bigint, "y T" text)`,
    )
    const key = table.foreignKeys[0]!
    const sql = sqlOf(
      translateForeignKey(key, {
        table: target,
        name: 'the key',
        parent: { schema: 'public', name: 'parent' },
        columns: ['x T', 'y T'],
        parentColumns: ['a', 'b'],
        types: { columns: ['bigint', 'text'], parentColumns: ['bigint', 'text'] },
        parentTable,
        notValid: true,
      }),
    )
    await client.query(sql)
    expect(sql).toMatch(/ON UPDATE SET NULL ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED NOT VALID$/)
    await client.query(
      `begin; insert into ${qualifiedName(target)} values (1, 'p'); insert into parent values (1, 'p'); commit; delete from parent`,
    )
    expect((await client.query(`select from ${qualifiedName(target)}`)).rowCount).toBe(0)
    await expect(client.query(`insert into ${qualifiedName(target)} values (2, 'q')`)).rejects.toThrow(/foreign key/)
  })
})

it('names of columns are found whatever their letter case', () => {
  const sqlite = new Sqlite(':memory:')
  sqlite.exec('CREATE TABLE t(Näme TEXT, B INT, CHECK (NäME IS NULL OR b > 0))')
  const table = introspect(sqlite).tables[0] as SqliteTable
  sqlite.close()
  expect(foldAscii('NäME')).toBe('näme')
  expect(table.checks).toHaveLength(1)
})

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite, { type Database } from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { propertyRuns } from '../../testing/property-runs.js'
import { useFolder } from '../../testing/use-folder.js'
import { copyMove } from '../copy/copy.js'
import { exportMove } from '../export/export-move.js'
import { planMove } from '../plan/plan.js'

const folder = useFolder('round-trip')
const database = useDatabase()
const client = useClient(database)
let runs = 0

type Value = bigint | number | string | Buffer

interface Column {
  readonly name: string
  readonly declared: string
  readonly choice?: object
  /** The conversion that the plan comes to. */
  readonly kind: string
  readonly values: fc.Arbitrary<Value>
}

const two = (number: number, width = 2) => String(number).padStart(width, '0')
const integers = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.integer().map(BigInt),
  fc.constantFrom(0n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)),
)
const doubles = fc.oneof(
  fc.double({ noNaN: true }),
  fc.constantFrom(0.1, 1e300, 5e-324, 1e21, 123456789012345680, 0.1 + 0.2, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
)
/** Zero has one form in a column that keeps its reals as whole numbers where it can. */
const positiveZero = (value: number): number => (value === 0 ? 0 : value)
const broken = doubles.filter((value) => !Number.isInteger(value) || Math.abs(value) >= 2 ** 63)
const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.replaceAll('\0', '').replace(/\p{Surrogate}/gu, '')),
  fc.constantFrom('', ' ', 'a ', "it's", '\\N', '\\x00', '\uFFFD', '\uFEFFbom', '🙂', '1', '1.50', 'NULL', 'x'.repeat(5000)),
)
const days = fc
  .integer({ min: -719_162, max: 2_932_896 })
  .map((day) => new Date(day * 86_400_000).toISOString().slice(0, 10).padStart(10, '0'))
const clocks = fc
  .integer({ min: 0, max: 86_399 })
  .map((s) => `${two(Math.floor(s / 3600))}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`)
const micros = fc.oneof(fc.integer({ min: 0, max: 999_999 }), fc.constantFrom(0, 1, 100, 120_000, 999_999))
const digits = (count: number) => fc.integer({ min: 0, max: 10 ** count - 1 }).map((value) => `.${two(value, count)}`)
const auto = micros.map((value) => (value === 0 ? '' : `.${two(value, 6)}`))
const trim = micros.map((value) => (value === 0 ? '' : `.${two(value, 6).replace(/0+$/, '')}`))
const years = fc.integer({ min: -8_000_000_000, max: 40_000_000_000 })
const join3 = (...parts: (fc.Arbitrary<string> | string)[]) =>
  fc.tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part))).map((all) => all.join(''))

/** In spring the clocks skip an hour, and no program writes times within it; the year is one of plain rules. */
const berlin = fc
  .integer({ min: 946_684_800, max: 1_900_000_000 })
  .map((second) => new Date(second * 1000))
  .map((date) =>
    new Intl.DateTimeFormat('sv-SE', { timeZone: 'Europe/Berlin', dateStyle: 'short', timeStyle: 'medium' }).format(date),
  )

const columns: readonly Column[] = [
  { name: 'whole', declared: 'INTEGER', kind: 'integer', values: integers },
  { name: 'whole_bare', declared: '', kind: 'integer', values: integers },
  { name: 'whole_numeric', declared: 'NUMERIC', kind: 'numeric', choice: { type: 'numeric' }, values: integers },
  { name: 'real', declared: 'REAL', kind: 'real', values: doubles.map(positiveZero) },
  { name: 'real_bare', declared: '', kind: 'real', values: doubles },
  { name: 'real_integer', declared: 'INTEGER', kind: 'real', choice: { type: 'double precision' }, values: broken },
  { name: 'number', declared: 'NUMERIC', kind: 'numeric', values: fc.oneof(integers, broken) },
  { name: 'number_real', declared: 'REAL', kind: 'numeric', choice: { type: 'numeric' }, values: doubles.map(positiveZero) },
  { name: 'price', declared: 'DECIMAL(10,2)', kind: 'numeric', values: fc.integer({ min: -99_999_999, max: 99_999_999 }).map((cents) => cents % 100 === 0 ? BigInt(cents / 100) : cents / 100) },
  { name: 'text', declared: 'TEXT', kind: 'text', values: texts },
  { name: 'text_bare', declared: '', kind: 'text', values: texts },
  { name: 'text_numeric', declared: 'DATETIME', kind: 'text', values: texts.filter((text) => !/^[\s\d.+-]/.test(text)) },
  { name: 'bytes', declared: 'BLOB', kind: 'bytes', values: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)) },
  { name: 'flag', declared: 'BOOLEAN', kind: 'boolean', values: fc.constantFrom(0n, 1n) },
  { name: 'word', declared: 'BOOLEAN', kind: 'boolean', values: fc.constantFrom('yes', 'no') },
  { name: 'word_text', declared: 'TEXT', kind: 'boolean', choice: { type: 'boolean', truthy: ['1'], falsy: ['0'] }, values: fc.constantFrom('0', '1') },
  { name: 'day', declared: 'DATE', kind: 'date', values: days },
  { name: 'clock', declared: 'TIME', kind: 'time', values: clocks },
  { name: 'clock3', declared: 'TIME', kind: 'time', values: join3(clocks, digits(3)) },
  { name: 'moment', declared: 'DATETIME', kind: 'timestamp', values: join3(days, ' ', clocks) },
  { name: 'moment_auto', declared: 'TIMESTAMP', kind: 'timestamp', values: join3(days, 'T', clocks, auto) },
  { name: 'moment_trim', declared: 'TIMESTAMP', kind: 'timestamp', values: join3(days, 'T', clocks, trim) },
  { name: 'moment3', declared: 'DATETIME', kind: 'timestamp', values: join3(days, ' ', clocks, digits(3)) },
  { name: 'minute', declared: 'DATETIME', kind: 'timestamp', values: join3(days, ' ', clocks.map((text) => text.slice(0, 5))) },
  { name: 'zulu', declared: 'DATETIME', kind: 'timestamptz', values: join3(days, 'T', clocks, digits(3), 'Z') },
  { name: 'darwin', declared: 'DATETIME', kind: 'timestamptz', values: join3(days.filter((day) => day > '0001-01-02' && day < '9999-12-30'), 'T', clocks, auto, '+09:30') },
  { name: 'short_zone', declared: 'DATETIME', kind: 'timestamptz', values: join3(days.filter((day) => day > '0001-01-02' && day < '9999-12-30'), ' ', clocks, '-0500') },
  { name: 'berlin', declared: 'DATETIME', kind: 'timestamptz', choice: { type: 'timestamptz', timeZone: 'Europe/Berlin' }, values: berlin },
  { name: 'unix', declared: 'DATETIME', kind: 'epoch', choice: { type: 'timestamptz', epoch: 'seconds' }, values: years.map(BigInt) },
  { name: 'unix_ms', declared: 'INTEGER', kind: 'epoch', choice: { type: 'timestamptz', epoch: 'milliseconds' }, values: years.map((s) => BigInt(s) * 1000n + 7n) },
  { name: 'unix_us', declared: 'INTEGER', kind: 'epoch', choice: { type: 'timestamptz', epoch: 'microseconds' }, values: years.map((s) => BigInt(s) * 1_000_000n - 3n) },
  { name: 'uuid', declared: 'UUID', kind: 'uuid', values: fc.uuid() },
  { name: 'uuid_bare', declared: 'TEXT', kind: 'uuid', choice: { type: 'uuid' }, values: fc.uuid().map((uuid) => uuid.replaceAll('-', '')) },
  { name: 'uuid_mapped', declared: 'TEXT', kind: 'uuid', choice: { type: 'uuid' }, values: fc.oneof(fc.uuid(), fc.uuid().map((uuid) => uuid.toUpperCase()), fc.string({ minLength: 1, maxLength: 9 }).filter((text) => !text.includes('\0'))) },
  { name: 'uuid_number', declared: 'INTEGER', kind: 'uuid', choice: { type: 'uuid' }, values: fc.integer().map(BigInt) },
  { name: 'json', declared: 'JSON', kind: 'json', values: fc.constantFrom('{"b": 1, "a": [1.50, null]}', '[]', '"x"', ' {"a":1,"a":2} ', 'null') },
] // biome-ignore format: a table

const write = (db: Database, rows: readonly (readonly (Value | null)[])[]): void => {
  const list = columns.map(({ name, declared }) => `${name} ${declared}`).join(', ')
  db.exec(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, ${list}); CREATE TABLE s (id INTEGER PRIMARY KEY, i INT, r REAL, t TEXT, b BLOB, a ANY) STRICT`,
  )
  const insert = db.prepare(`INSERT INTO t VALUES (${Array.from({ length: columns.length + 1 }, () => '?').join(', ')})`)
  for (const [i, row] of rows.entries()) insert.run(BigInt(i), ...row)
  db.exec(`INSERT INTO s VALUES (1, 5, 5, '5', x'35', '5'), (2, NULL, NULL, NULL, NULL, NULL)`)
}

const read = (db: Database, table: string): readonly unknown[] => {
  const names = db.prepare<[], string>(`SELECT name FROM pragma_table_info('${table}')`).pluck().all()
  const cells = names.map(
    (name) =>
      `typeof(${name}) || ':' || CASE typeof(${name}) WHEN 'text' THEN hex(CAST(${name} AS BLOB)) ELSE quote(${name}) END AS ${name}`,
  )
  return db.prepare(`SELECT ${cells.join(', ')} FROM ${table}`).all()
}

/** To Postgres by the copy's own encoders, and back by the inverters. */
const roundTrip = async (rows: readonly (readonly (Value | null)[])[]) => {
  const schema = `r${++runs}`
  const [path, outPath, choicesPath] = [
    join(folder, `${schema}.db`),
    join(folder, `${schema}.out.db`),
    join(folder, `${schema}.json`),
  ]
  const db = new BetterSqlite(path)
  write(db, rows)
  const chosen = Object.fromEntries(columns.flatMap(({ name, choice }) => (choice ? [[name, choice]] : [])))
  writeFileSync(choicesPath, JSON.stringify({ version: 1, tables: { t: { columns: chosen } } }))
  const plan = await planMove({ path, schema, choicesPath })
  const copy = await copyMove(plan, { target: { url: database.url } })
  const report = await exportMove({ run: { id: copy.runId, path, plan }, target: { url: database.url }, outPath })
  await client.query(`DROP SCHEMA ${schema} CASCADE`)
  const out = new BetterSqlite(outPath)
  const result = {
    plan,
    copy,
    report,
    before: { t: read(db, 't'), s: read(db, 's') },
    after: { t: read(out, 't'), s: read(out, 's') },
  }
  db.close()
  out.close()
  for (const each of [path, outPath, choicesPath]) rmSync(each)
  return result
}

const anyRow = fc.tuple(...columns.map(({ values }) => fc.option(values, { nil: null, freq: 12 })))

describe('invert(convert(v)) = v', () => {
  it('in bytes and storage class, for every conversion that can be inverted', async () => {
    const rows = fc.array(anyRow, { minLength: 150, maxLength: 150, size: 'max' })
    const property = fc.asyncProperty(rows, async (given) => {
      const { plan, copy, report, before, after } = await roundTrip(given)
      expect(copy.tables.map(({ copied }) => copied)).toEqual([150, 2])
      expect(
        Object.fromEntries(plan.tables[0]!.columns.slice(1).map(({ source, conversion }) => [source, conversion.kind])),
      ).toEqual(Object.fromEntries(columns.map(({ name, kind }) => [name, kind])))
      expect(after).toEqual(before)
      expect(report).toMatchObject({ ok: true, differences: [], left: [] })
    })
    await fc.assert(property, { ...propertyRuns(3), endOnFailure: true })
  }, 300_000)
})

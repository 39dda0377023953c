/** Arbitrary SQLite files: schemas and values of every kind, as fast-check draws them. */
import type { Database } from 'better-sqlite3'
import fc from 'fast-check'

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Text given by its bytes, for what no string can say. */
interface RawText {
  readonly bytes: Uint8Array
}
export type AnyValue = null | bigint | number | string | Uint8Array | RawText

/** True for text that is given by its bytes. */
export const isRaw = (value: AnyValue): value is RawText => typeof value === 'object' && value !== null && 'bytes' in value

const integers = fc.oneof(
  fc.integer({ min: -3, max: 3 }).map(BigInt),
  fc.integer().map(BigInt),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n), 1_704_164_645n, 1_704_164_645_678n),
)

const reals = fc.oneof(
  fc.double({ noNaN: true }),
  fc.integer({ min: -100_000, max: 100_000 }).map((cents) => cents / 100),
  fc.constantFrom(0.5, -0.0, 1e300, 5e-324, 2 ** 53, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e15, 1e21, 0.1 + 0.2),
)

const texts: fc.Arbitrary<AnyValue> = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
  fc.constantFrom(
    '',
    ' ',
    '0',
    '1',
    'true',
    'null',
    'now',
    '\uFFFD',
    'é',
    'E',
    'x'.repeat(200),
    "it's",
    '\\N',
    'a\0b',
    '\0',
    '1.50',
    '1e5',
    'nan',
  ),
  fc.uint8Array({ maxLength: 6 }).map((bytes): RawText => ({ bytes })),
)

const pad = (value: number, width = 2): string => String(value).padStart(width, '0')

const moments = fc
  .record({
    year: fc.integer({ min: 0, max: 9999 }),
    month: fc.integer({ min: 0, max: 13 }),
    day: fc.integer({ min: 0, max: 31 }),
    clock: fc.constantFrom('', ' 00:00', 'T23:59:59', ' 12:34:56.5', 'T01:02:03.000100', ' 24:00:00', 'T10:11:12.1234567'),
    zone: fc.constantFrom('', '', 'Z', '+09:30', '-05:00', '+0200', '+01'),
  })
  .map(({ year, month, day, clock, zone }) => `${pad(year, 4)}-${pad(month)}-${pad(day)}${clock}${clock ? zone : ''}`)

const jsons = fc.oneof(
  fc.json({ maxDepth: 2 }),
  fc.constantFrom(
    '{"a":1,"a":2}',
    '"\\u0000"',
    '"\\ud83d\\ude42"',
    '"\\ud83d"',
    '{broken',
    '[1e400]',
    ' { "b" : 1 } ',
    '"\\\\u0000"',
  ),
)

const uuids = fc.oneof(
  fc.uuid(),
  fc.uuid().map((uuid) => uuid.replaceAll('-', '')),
  fc.uuid().map((uuid) => uuid.toUpperCase()),
)

const anything: fc.Arbitrary<AnyValue> = fc.oneof(
  integers,
  reals,
  texts,
  fc.uint8Array({ maxLength: 8 }),
  moments,
  jsons,
  uuids,
  fc.constant(null),
)

/** What a column is filled from, and what may receive it: most columns of real files keep to one kind of value, some to none. */
const moods: readonly (readonly [fc.Arbitrary<AnyValue>, readonly string[]])[] = [
  [anything, ['text', 'bytea']],
  [integers, ['bigint', 'numeric', 'integer']],
  [reals, ['double precision', 'numeric', 'real']],
  [texts, ['text']],
  [fc.uint8Array({ maxLength: 8 }), ['bytea']],
  [moments, ['text', 'timestamptz']],
  [jsons, ['json', 'jsonb', 'text']],
  [uuids, ['text', 'uuid']],
  [fc.constantFrom<AnyValue>(0n, 1n), ['boolean', 'smallint', 'bigint']],
  [fc.constantFrom<AnyValue>('yes', 'no'), ['text', 'boolean', 'mood', 'char(4)']],
  [fc.constantFrom<AnyValue>('t', 'f', 1n), ['boolean', 'text', 'varchar(6)']],
  [fc.constantFrom<AnyValue>('2024-01-02 03:04:05', '2023-12-31 23:59:59'), ['timestamp', 'timestamptz', 'timestamp(3)']],
  [fc.constantFrom<AnyValue>('2024-01-02T03:04:05.123456', '2024-01-02T03:04:05'), ['timestamp', 'timestamptz', 'text']],
  [fc.constantFrom<AnyValue>('2024-01-02T03:04:05+09:30', '2024-07-01T00:00:00.5+09:30'), ['timestamptz', 'timestamptz(0)']],
  [fc.constantFrom<AnyValue>('2024-02-29', '0001-01-01'), ['date', 'timestamp', 'text']],
  [fc.constantFrom<AnyValue>('00:00:00', '23:59:59.25'), ['time', 'text']],
  [fc.integer({ min: 1_500_000_000, max: 1_800_000_000 }).map(BigInt), ['timestamptz', 'bigint']],
  [fc.constantFrom<AnyValue>(19.99, 5n, 0.1), ['numeric(8,2)', 'numeric', 'double precision']],
]

/** Types of Postgres that are a likely home for a column. */
export const likelyTypes = ({ mood }: AnyColumn): readonly string[] => moods[mood]![1]

const looseTypes = [
  '', 'INTEGER', 'INT', 'REAL', 'TEXT', 'BLOB', 'NUMERIC', 'DECIMAL(6,2)', 'VARCHAR(5)', 'BOOLEAN', 'DATETIME', 'DATE', 'TIME', 'TIMESTAMP',
  'JSON', 'UUID', 'FLOAT', 'my type',
] // biome-ignore format: one line reads better
const strictTypes = ['INT', 'INTEGER', 'REAL', 'TEXT', 'BLOB', 'ANY']

const names = [
  'id', 'name', 'Name2', 'select', 'user', 'rowid', 'oid', '_rowid_', 'ctid', 'xmin', 'a b', 'q"q', 'é', '名前', 'tableoid', "it's", '%s',
  'a_column_whose_name_is_much_longer_than_the_sixty_three_bytes_of_postgres', 'c\\d', 'updated_at',
] // biome-ignore format: one line reads better

export interface AnyColumn {
  readonly name: string
  readonly type: string
  readonly constraint: string
  readonly mood: number
}

export interface AnyTable {
  readonly name: string
  readonly kind: 'alias' | 'autoincrement' | 'keyless' | 'key' | 'withoutRowid'
  readonly strict: boolean
  readonly keyWidth: number
  readonly columns: readonly AnyColumn[]
  readonly rows: readonly (readonly AnyValue[])[]
}

const anyTable = (name: string): fc.Arbitrary<AnyTable> =>
  fc
    .record({
      kind: fc.constantFrom('alias', 'autoincrement', 'keyless', 'key', 'withoutRowid'),
      strict: fc.boolean(),
      keyWidth: fc.integer({ min: 1, max: 2 }),
      names: fc.uniqueArray(fc.constantFrom(...names), { minLength: 2, maxLength: 6 }),
    })
    .chain(({ names, strict, ...rest }) =>
      fc
        .tuple(
          ...names.map((column) =>
            fc.record({
              name: fc.constant(column),
              type: fc.constantFrom(...(strict ? strictTypes : looseTypes)),
              constraint: fc.constantFrom('', '', '', 'UNIQUE', 'NOT NULL', 'COLLATE NOCASE', "DEFAULT 'x'", 'DEFAULT 0'),
              mood: fc.nat({ max: moods.length - 1 }),
            }),
          ),
        )
        .chain((columns) =>
          fc.record({
            name: fc.constant(name),
            strict: fc.constant(strict),
            kind: fc.constant(rest.kind),
            keyWidth: fc.constant(rest.keyWidth),
            columns: fc.constant(columns),
            rows: fc.array(
              fc.tuple(
                ...columns.map(({ mood }) =>
                  fc.oneof({ weight: 9, arbitrary: moods[mood]![0] }, { weight: 1, arbitrary: fc.constant(null) }),
                ),
              ),
              { maxLength: 25, size: 'max' },
            ),
          }),
        ),
    ) as fc.Arbitrary<AnyTable>

export interface AnyFile {
  readonly encoding: 'UTF-8' | 'UTF-16le' | 'UTF-16be'
  readonly tables: readonly AnyTable[]
}

export const anyFile: fc.Arbitrary<AnyFile> = fc.record({
  encoding: fc.oneof(
    { weight: 6, arbitrary: fc.constant('UTF-8' as const) },
    { weight: 1, arbitrary: fc.constantFrom('UTF-16le', 'UTF-16be') },
  ),
  tables: fc
    .tuple(anyTable('first table'), fc.option(anyTable('Second'), { nil: undefined }))
    .map(([first, second]) => (second ? [first, second] : [first])),
})

export const createTable = ({ name, kind, strict, keyWidth, columns }: AnyTable): string => {
  const isAlias = kind === 'alias' || kind === 'autoincrement'
  const lines = columns.map(({ name: column, type, constraint }, i) => {
    if (isAlias && i === 0) return `${quoted(column)} INTEGER PRIMARY KEY${kind === 'autoincrement' ? ' AUTOINCREMENT' : ''}`
    return `${quoted(column)} ${type} ${constraint}`
  })
  const key = columns.slice(0, keyWidth).map((column) => quoted(column.name))
  if (kind === 'key' || kind === 'withoutRowid') lines.push(`PRIMARY KEY (${key.join(', ')})`)
  const options = [...(strict ? ['STRICT'] : []), ...(kind === 'withoutRowid' ? ['WITHOUT ROWID'] : [])]
  return `CREATE TABLE ${quoted(name)} (${lines.join(', ')}) ${options.join(', ')}`
}

/** Bytes that are no text stay what they are in a UTF-8 file; in others SQLite itself would read something else out of them. */
export const bindAny = (value: AnyValue, encoding: AnyFile['encoding']): unknown => {
  if (isRaw(value)) return encoding === 'UTF-8' ? Buffer.from(value.bytes) : Buffer.from(value.bytes).toString('utf8')
  return value instanceof Uint8Array ? Buffer.from(value) : value
}

/** Writes the file; rows that SQLite itself refuses are left out. */
export const writeFile = (database: Database, { encoding, tables }: AnyFile): void => {
  database.pragma(`encoding = '${encoding}'`)
  database.pragma('synchronous = OFF')
  for (const table of tables) {
    database.exec(createTable(table))
    const names = table.columns.map((column) => quoted(column.name)).join(', ')
    for (const row of table.rows) {
      const marks = row.map((value) => (isRaw(value) ? 'CAST(? AS TEXT)' : '?')).join(', ')
      try {
        database
          .prepare(`INSERT OR IGNORE INTO ${quoted(table.name)} (${names}) VALUES (${marks})`)
          .run(...row.map((value) => bindAny(value, encoding)))
      } catch {
        // A STRICT table refuses it.
      }
    }
  }
}

const types = [
  'bigint', 'integer', 'smallint', 'numeric', 'double precision', 'text', 'bytea', 'boolean', 'date', 'time', 'timestamp', 'timestamptz',
  'uuid', 'json', 'jsonb',
] // biome-ignore format: one line reads better

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined, freq: 2 })

const policies = {
  badValue: maybe(fc.constantFrom('reject', 'null')),
  nulBytes: maybe(fc.constantFrom('reject', 'strip', 'replace', 'null')),
  invalidUtf8: maybe(fc.constantFrom('reject', 'replace', 'latin1', 'null')),
}

/** Choices for a file: types and policies at random, sensible or not. */
export const anyChoices = ({ tables }: AnyFile): fc.Arbitrary<object> => {
  const column = fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    {
      weight: 2,
      arbitrary: fc.record({
        type: maybe(fc.constantFrom(...types)),
        nullAs: maybe(fc.constantFrom('', '0', 'x', '2024-01-01')),
        ...policies,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('timestamptz'),
        epoch: fc.constantFrom('seconds', 'milliseconds', 'microseconds'),
        ...policies,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('timestamptz'),
        timeZone: fc.constantFrom('Europe/Berlin', 'Australia/Darwin', 'America/St_Johns'),
        ...policies,
      }),
    },
  )
  const table = (each: AnyTable) =>
    fc.record({ columns: fc.record(Object.fromEntries(each.columns.map(({ name }) => [name, column]))) })
  return fc
    .record({
      ...policies,
      rejects: maybe(fc.constant('allow')),
      tables: fc.record(Object.fromEntries(tables.map((each) => [each.name, table(each)]))),
    })
    .map((choices) => JSON.parse(JSON.stringify(choices)) as object)
}

/** Arbitrary tables of Postgres for an arbitrary file, and a map into them. */
import fc from 'fast-check'
import { type AnyColumn, type AnyFile, type AnyTable, likelyTypes } from './any-file.js'

const types = [
  'bigint', 'integer', 'smallint', 'numeric', 'numeric(8,2)', 'real', 'double precision', 'text', 'text', 'varchar(6)', 'char(4)', 'bytea', 'boolean',
  'date', 'time', 'timestamp', 'timestamp(3)', 'timestamptz', 'timestamptz(0)', 'uuid', 'json', 'jsonb', "mood",
] // biome-ignore format: one line reads better

/** Words of the map that may go with a type; the plan refuses what does not. */
const words: Readonly<Record<string, readonly string[]>> = {
  timestamptz: ['timestamptz', 'epoch-seconds', 'epoch-milliseconds', 'epoch-microseconds'],
  'timestamptz(0)': ['timestamptz', 'epoch-milliseconds'],
  uuid: ['uuid', 'uuid-dashless', 'uuid-mapped'],
  text: ['text'],
  boolean: ['boolean'],
  bigint: ['integer', 'numeric', 'real'],
}

interface AnyTargetColumn {
  readonly type: string
  readonly as: string | undefined
  readonly constraint: string
  readonly policies: object
}

export interface AnyTarget {
  /** Makes the tables, in the schema of the search path. */
  readonly sql: string
  readonly map: object
}

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined, freq: 2 })

const anyColumn = (column: AnyColumn): fc.Arbitrary<AnyTargetColumn> => {
  const type = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...likelyTypes(column)) },
    { weight: 1, arbitrary: fc.constantFrom(...types) },
  )
  return type.chain(anyColumnOf)
}

const anyColumnOf = (type: string): fc.Arbitrary<AnyTargetColumn> =>
  fc.record({
    type: fc.constant(type),
    as: words[type] ? maybe(fc.constantFrom(...words[type])) : fc.constant(undefined),
    constraint: fc.constantFrom('', '', '', '', '', '', '', '', 'NOT NULL', 'UNIQUE', 'CHECK'),
    policies: fc.record({
      onBadValue: maybe(fc.constantFrom('reject', 'null')),
      nulBytes: maybe(fc.constantFrom('reject', 'strip', 'replace', 'null')),
      invalidUtf8: maybe(fc.constantFrom('reject', 'replace', 'latin1', 'null')),
      nullAs: maybe(fc.constantFrom('', '0', 'x', '2024-01-01 00:00:00', '{}')),
      timeZone: maybe(fc.constantFrom('Australia/Darwin', 'Europe/Berlin')),
    }),
  })

const constraintSql = ({ constraint, type }: AnyTargetColumn, name: string): string => {
  if (constraint === 'CHECK') return `CHECK (length(${name}::text) % 7 <> 3)`
  return constraint === 'UNIQUE' && type === 'json' ? '' : constraint
}

const tableSql = (target: string, columns: readonly AnyTargetColumn[], key: boolean): string => {
  const lines = columns.map((column, i) => `c${i} ${column.type} ${constraintSql(column, `c${i}`)}`)
  const isKey = key && columns[0]!.type !== 'json' && columns[0]!.constraint !== 'UNIQUE'
  return `CREATE TABLE ${target} (${lines.join(', ')}, extra text NOT NULL DEFAULT 'extra'${isKey ? ', PRIMARY KEY (c0)' : ''})`
}

const anyTargetOf = (table: AnyTable, target: string): fc.Arbitrary<AnyTarget> =>
  fc
    .record({ columns: fc.tuple(...table.columns.map(anyColumn)), key: fc.boolean(), rejects: maybe(fc.constant('allow')) })
    .map(({ columns, key, rejects }) => ({
      sql: tableSql(target, columns, key),
      map: {
        to: target,
        rejects,
        extraTargetColumns: ['extra'],
        columns: Object.fromEntries(
          table.columns.map(({ name }, i) => [name, { to: `c${i}`, as: columns[i]!.as, ...columns[i]!.policies }]),
        ),
      },
    }))

/** Tables `target0`, `target1` … for the tables of the file. */
export const anyTarget = ({ tables }: AnyFile): fc.Arbitrary<AnyTarget> =>
  fc.tuple(...tables.map((table, i) => anyTargetOf(table, `target${i}`))).map((targets) => ({
    sql: ["CREATE TYPE mood AS ENUM ('yes', 'no', 't', 'f')", ...targets.map(({ sql }) => sql)].join('; '),
    map: JSON.parse(
      JSON.stringify({ version: 1, tables: Object.fromEntries(tables.map(({ name }, i) => [name, targets[i]!.map])) }),
    ) as object,
  }))

/** What in the data or the schema the reader should know before anything is copied. */
import type { SqliteDatabase, SqliteSchema, SqliteTable } from '../../sqlite/sqlite.js'
import { foldAscii } from '../../sqlite/tokenize.js'
import { orphanCondition } from '../copy/parent-guard.js'
import type { ColumnPlan, Hazard, TablePlan } from '../move.js'
import { printKey } from '../row-keys.js'
import { quoteSqlite } from '../row-source.js'
import { isTooLong, largestEntryBytes } from './index-entries.js'
import type { Sample } from './look-closely.js'
import type { ColumnFacts, TableFacts } from './scan.js'

const shownKeys = 5

interface Finding {
  readonly code: string
  readonly sample: Sample
  readonly policy: string
  readonly message: string
  readonly suggestion: string
}

const textFindings = ({ policies, targetType }: ColumnPlan, facts: ColumnFacts): readonly Finding[] => {
  const close = facts.close
  if (!close || targetType === 'bytea') return []
  return [
    {
      code: 'nulByte',
      sample: close.nulBytes,
      policy: policies.nulBytes,
      message: 'text with a NUL byte, which Postgres cannot hold',
      suggestion:
        'Choose "nulBytes": "strip", "replace" (writes U+2400) or "null", or "type": "bytea"; the original bytes are kept in tidemark.move_rejects.',
    },
    {
      code: 'invalidUtf8',
      sample: close.badUtf8,
      policy: policies.invalidUtf8,
      message: 'text that is not valid UTF-8',
      suggestion:
        'Choose "invalidUtf8": "latin1", "replace" or "null", or "type": "bytea"; the original bytes are kept in tidemark.move_rejects.',
    },
  ]
}

/** Hazards of values that the policies decide. */
export const valueHazards = (table: TablePlan, facts: TableFacts): readonly Hazard[] =>
  table.columns.flatMap((column) =>
    textFindings(column, facts.columns.get(column.source)!)
      .filter(({ sample }) => sample.count > 0)
      .map(({ code, sample, policy, message, suggestion }) => ({
        code,
        severity: policy === 'reject' ? ('loss' as const) : ('warning' as const),
        table: table.source,
        column: column.source,
        count: sample.count,
        keys: sample.keys,
        message: policy === 'reject' ? `${message}: the row is rejected` : `${message}: by the policy "${policy}"`,
        suggestion,
      })),
  )

/** Values that SQLite has in an index, and an index of Postgres cannot take. */
export const longHazards = (source: SqliteTable, { longest }: TableFacts): readonly Hazard[] =>
  source.indexes
    .filter((index) => isTooLong(longest.get(index.name), index))
    .map((index) => ({
      code: 'longIndexed',
      severity: 'warning',
      table: source.name,
      column: index.parts.length === 1 ? (index.parts[0]?.column ?? null) : null,
      count: 1,
      keys: [],
      message: `${index.unique ? 'a unique index' : 'an index'} (${index.name}) with an entry of ${longest.get(index.name)} bytes; one of a B-tree in Postgres has no more than ${largestEntryBytes}: ${index.unique ? 'kept over hashes of its values' : 'not carried'}`,
      suggestion: index.unique
        ? 'INSERT … ON CONFLICT has to name the expressions of the index, and no foreign key can refer to it. Shorter values, or a column with their hash, would let it stay as it is.'
        : 'An index on the beginning of the value, or USING hash for equality alone.',
    }))

/** The keys of the first rows for which a condition holds. */
export const firstKeys = (database: SqliteDatabase, table: TablePlan, condition: string): readonly string[] => {
  const columns = table.reportKey.map(quoteSqlite).join(', ')
  if (columns === '') return []
  const select = `SELECT ${columns} FROM ${quoteSqlite(table.source)} WHERE ${condition} LIMIT ${shownKeys}`
  const rows = database.prepare(select).safeIntegers(true).raw(true).all() as unknown[][]
  return rows.map((row) => printKey(table.reportKey, row))
}

/** NULLs for which the target has no place. */
export const nullHazards = (database: SqliteDatabase, table: TablePlan, facts: TableFacts): readonly Hazard[] =>
  table.columns.flatMap(({ source: column, notNull, policies, generatedSql }): readonly Hazard[] => {
    const { nulls } = facts.columns.get(column)!
    if (!notNull || nulls === 0 || generatedSql !== null) return []
    const keys = firstKeys(database, table, `${quoteSqlite(column)} IS NULL`)
    const base = { table: table.source, column, count: nulls, keys }
    if (policies.nullAs !== null) {
      const message = `NULL, written as '${policies.nullAs}'`
      return [{ ...base, code: 'nullReplaced', severity: 'warning', message, suggestion: 'By choice ("nullAs").' }]
    }
    const message = 'NULL where the target refuses it: the row is rejected'
    return [
      { ...base, code: 'nullInNotNull', severity: 'loss', message, suggestion: 'Give "nullAs", the value that stands for NULL.' },
    ]
  })

/** Rows without the parent that the target demands. */
export const orphanHazards = (database: SqliteDatabase, table: TablePlan): readonly Hazard[] =>
  table.requiredParents.flatMap((parent) => {
    const condition = orphanCondition(table.source, parent)
    const names = table.reportKey
    const select = names.map((name) => `${quoteSqlite(table.source)}.${quoteSqlite(name)}`).join(', ') || '1'
    const orphans = database
      .prepare(`SELECT ${select} FROM ${quoteSqlite(table.source)} WHERE ${condition}`)
      .safeIntegers(true)
      .raw(true)
    const keys: string[] = []
    let count = 0
    for (const row of orphans.iterate() as IterableIterator<unknown[]>) {
      if (++count <= shownKeys) keys.push(printKey(names, row))
    }
    if (count === 0) return []
    const message = `no such row in ${parent.parentTable}, and the target demands one: the row is rejected`
    return [
      {
        code: 'orphan',
        severity: 'loss',
        table: table.source,
        column: parent.columns[0] ?? null,
        count,
        keys,
        message,
        suggestion: 'Add the parent or delete the row in the file, or allow it ("onBadValue": "reject" on the column).',
      } as const,
    ]
  })

/** Foreign keys that rows of the file break, where SQLite did not enforce them. */
export const danglingHazards = (
  database: SqliteDatabase,
  table: SqliteTable,
  tables: readonly SqliteTable[],
): readonly Hazard[] => {
  const hasParent = (name: string) => tables.some((candidate) => foldAscii(candidate.name) === foldAscii(name))
  if (!table.foreignKeys.some(({ parentTable }) => hasParent(parentTable))) return []
  const broken = new Map<number, { count: number; keys: string[]; parent: string }>()
  try {
    for (const row of database.prepare(`PRAGMA foreign_key_check(${quoteSqlite(table.name)})`).iterate() as IterableIterator<{
      rowid: number | null
      parent: string
      fkid: number
    }>) {
      const found = broken.get(row.fkid) ?? { count: 0, keys: [], parent: row.parent }
      found.count++
      if (found.keys.length < shownKeys) found.keys.push(row.rowid === null ? 'a row without rowid' : `rowid=${row.rowid}`)
      broken.set(row.fkid, found)
    }
  } catch {
    // A mismatched key ("foreign key mismatch") is told by the decision on the foreign key itself.
    return []
  }
  // A key into a table that does not exist is not carried at all, and its decision says so.
  const told = [...broken.values()].filter(({ parent }) => hasParent(parent))
  return told.map(({ count, keys, parent }) => ({
    code: 'danglingForeignKey',
    severity: 'warning',
    table: table.name,
    column: null,
    count,
    keys,
    message: `no such row in ${parent}: kept as they are, and the foreign key holds for new rows only (NOT VALID)`,
    suggestion: 'Correct the rows, then run ALTER TABLE … VALIDATE CONSTRAINT.',
  }))
}

const unreadableHazards = ({ unreadable }: SqliteSchema): readonly Hazard[] =>
  unreadable.map(({ type, name, reason }) => ({
    code: 'unreadableObject',
    severity: 'loss',
    table: name,
    column: null,
    count: 1,
    keys: [],
    message: `the ${type} cannot be read: ${reason}`,
    suggestion: 'Open the file with the program that made it, or carry this object over by hand.',
  }))

const conflictHazards = ({ tables }: SqliteSchema): readonly Hazard[] =>
  tables.flatMap(({ name: table, conflictClauses = [] }) =>
    conflictClauses.map(({ constraint, action }) => ({
      code: 'conflictClause',
      severity: 'warning' as const,
      table,
      column: null,
      count: 1,
      keys: [],
      message: `${constraint} ON CONFLICT ${action}: Postgres keeps the constraint and refuses what breaks it`,
      suggestion: 'Write INSERT … ON CONFLICT where the application relies on it.',
    })),
  )

/** Rows of a virtual table that stand nowhere else; an index over another table (`content=`) holds none of its own. */
const countOwnRows = (database: SqliteDatabase, { name, sql }: SqliteSchema['virtualTables'][number]): number => {
  if (/\bcontent\s*=/i.test(sql)) return 0
  try {
    return database
      .prepare(`SELECT count(*) FROM ${quoteSqlite(name)}`)
      .pluck()
      .get() as number
  } catch {
    // The module is not at hand. That the table stays behind is told all the same.
    return 0
  }
}

const virtualHazards = (database: SqliteDatabase, { virtualTables }: SqliteSchema): readonly Hazard[] =>
  virtualTables.flatMap((virtual) => {
    const count = countOwnRows(database, virtual)
    if (count === 0) return []
    const message = `rows of a virtual table (${virtual.module}), which stay behind`
    const suggestion = 'Where they stand nowhere else, copy them into an ordinary table of the file first.'
    return [
      {
        code: 'virtualTableRows',
        severity: 'loss',
        table: virtual.name,
        column: null,
        count,
        keys: [],
        message,
        suggestion,
      } as const,
    ]
  })

/** Catalogue entries that could not be read, and what has no place in Postgres by nature. */
export const schemaHazards = (database: SqliteDatabase, schema: SqliteSchema): readonly Hazard[] => [
  ...unreadableHazards(schema),
  ...conflictHazards(schema),
  ...virtualHazards(database, schema),
]

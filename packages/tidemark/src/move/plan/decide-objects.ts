/** What becomes of defaults, generated columns, keys, indexes, constraints, views and triggers: kept, translated, or named as not carried. */

import type { SqliteForeignKey, SqliteIndex, SqliteSchema, SqliteTable } from '../../sqlite/sqlite.js'
import { foldAscii } from '../../sqlite/tokenize.js'
import type { ColumnPlan, ObjectDecision, TablePlan } from '../move.js'
import {
  describeTrigger,
  isCarried,
  qualifiedName,
  quoteIdentifier,
  tableContext,
  translateCheck,
  translateDefault,
  translateForeignKey,
  translateGenerated,
  translateIndex,
} from '../translate/translate.js'
import { viewDecisions } from './decide-views.js'
import { carried, notCarried, type ObjectNames, targetOf } from './decision.js'
import { isTooLong, largestEntryBytes } from './index-entries.js'
import { sequenceSql } from './sequence-sql.js'

/** The columns with their defaults and generated expressions in Postgres' words. A generated column that has none is copied as plain values. */
export const translateColumnSql = (
  source: SqliteTable,
  table: TablePlan,
  schema: SqliteSchema,
): { columns: readonly ColumnPlan[]; decisions: readonly ObjectDecision[] } => {
  const decisions: ObjectDecision[] = []
  let columns = table.columns
  for (const fact of source.columns.filter(({ generated }) => generated !== null)) {
    const column = columns.find(({ source: name }) => name === fact.name)!
    const context = tableContext(source, columns, schema.encoding)
    const translation = translateGenerated(fact.generated!.expression, context, { ...column, affinity: fact.affinity })
    const base = { type: 'generated', table: source.name, name: fact.name } as const
    if (!isCarried(translation))
      decisions.push(
        notCarried(base, { ...translation, suggestion: `Its values are copied as they are. ${translation.suggestion}` }),
      )
    else {
      decisions.push(carried(base, translation, [], 'table', fact.generated!.kind === 'stored' ? undefined : 'translated'))
      columns = columns.map((each) => (each === column ? { ...column, generatedSql: translation.sql } : each))
    }
  }
  columns = columns.map((column) => {
    const fact = source.columns.find(({ name }) => name === column.source)!
    if (fact.defaultSql === null || column.generatedSql !== null || column.identity) return column
    const translation = translateDefault(fact.defaultSql, { ...column, affinity: fact.affinity })
    const base = { type: 'default', table: source.name, name: column.source } as const
    decisions.push(isCarried(translation) ? carried(base, translation, [], 'table') : notCarried(base, translation))
    return isCarried(translation) ? { ...column, defaultSql: translation.sql } : column
  })
  return { columns, decisions }
}

/** The longest entry of indexes, in bytes. */
type Longest = ReadonlyMap<string, number>

/** Why an index cannot stand as it is; null where it can. */
const lengthIn = (index: SqliteIndex, longest: Longest): string | null => {
  const bytes = longest.get(index.name)
  return isTooLong(bytes, index)
    ? `an entry of it has ${bytes} bytes, and one of a B-tree in Postgres no more than ${largestEntryBytes}`
    : null
}

/** What makes the parent's columns unique, where that became an index over hashes: no foreign key can refer to one. */
const hashedKey = (parent: SqliteTable, columns: readonly string[], longest: Longest): string | null => {
  const wanted = new Set(columns.map(foldAscii))
  const index = parent.indexes.find(
    ({ unique, parts }) =>
      unique && parts.length === wanted.size && parts.every(({ column }) => column !== null && wanted.has(foldAscii(column))),
  )
  return index ? lengthIn(index, longest) : null
}

const keyDecisions = (
  source: SqliteTable,
  table: TablePlan,
  names: ObjectNames,
  schema: SqliteSchema,
  longest: Longest,
): readonly ObjectDecision[] => {
  const key = source.primaryKey
  if (!key) return []
  const base = { type: 'primaryKey', table: source.name, name: key.name ?? `primary key of ${source.name}` } as const
  const columns = table.primaryKey.map(quoteIdentifier).join(', ')
  const isJson = table.columns.some(({ target, targetType }) => table.primaryKey.includes(target) && targetType === 'json')
  const index = source.indexes.find(({ origin }) => origin === 'pk')
  const tooLong = index ? lengthIn(index, longest) : null
  const decisions: ObjectDecision[] = []
  if (columns !== '' && !isJson) {
    const sql = `ALTER TABLE ${qualifiedName(targetOf(table))} ADD CONSTRAINT ${quoteIdentifier(names.take(key.name ?? `${table.target}_pkey`))} PRIMARY KEY (${columns})`
    decisions.push(carried(base, { notes: [] }, [sql], 'afterRows'))
  }
  const isFolded = index?.parts.some(({ collation }) => collation !== 'BINARY') ?? false
  if (decisions.length === 1 && !isFolded) return decisions
  const asUnique =
    index &&
    translateIndex({ ...index, origin: 'c' }, tableContext(source, table.columns, schema.encoding), {
      table: targetOf(table),
      name: names.take(`${table.target}_key`),
      hashed: tooLong !== null,
    })
  if (asUnique && isCarried(asUnique)) {
    const why =
      tooLong ??
      (isFolded
        ? 'its collation makes more values equal than the primary key does'
        : 'it holds NULLs, which a primary key of Postgres refuses')
    decisions.push({ ...carried(base, { notes: [`a unique index: ${why}`, ...asUnique.notes] }, [asUnique.sql], 'afterRows') })
  } else if (asUnique) decisions.push(notCarried(base, asUnique))
  else if (decisions.length === 0)
    decisions.push(
      notCarried(base, {
        reason: 'it holds NULLs or values that Postgres cannot order',
        suggestion: 'Clean the key in the file.',
      }),
    )
  return decisions
}

const indexDecisions = (
  source: SqliteTable,
  table: TablePlan,
  names: ObjectNames,
  schema: SqliteSchema,
  longest: Longest,
): readonly ObjectDecision[] =>
  source.indexes
    .filter(({ origin }) => origin !== 'pk')
    .map((index) => {
      const parts = index.parts.map(({ column }) => column ?? 'expr').join('_')
      const base = { type: index.unique ? 'unique' : 'index', table: source.name, name: index.name } as const
      const tooLong = lengthIn(index, longest)
      if (tooLong !== null && !index.unique)
        return notCarried(base, {
          reason: tooLong,
          suggestion:
            'Where queries need it: an index on the beginning of the value (left(…, 200)), or USING hash for equality alone.',
        })
      const wanted = index.origin === 'u' ? `${table.target}_${parts}_key` : index.name
      const translation = translateIndex(index, tableContext(source, table.columns, schema.encoding), {
        table: targetOf(table),
        name: names.take(wanted),
        hashed: tooLong !== null,
      })
      if (!isCarried(translation)) return notCarried(base, translation)
      const notes = tooLong === null ? translation.notes : [`over hashes of its values: ${tooLong}`, ...translation.notes]
      return carried(base, { notes }, [translation.sql], 'afterRows')
    })

const validateSql = (table: TablePlan, name: string): string =>
  `ALTER TABLE ${qualifiedName(targetOf(table))} VALIDATE CONSTRAINT ${quoteIdentifier(name)}`

const checkDecisions = (
  source: SqliteTable,
  table: TablePlan,
  names: ObjectNames,
  schema: SqliteSchema,
): readonly ObjectDecision[] =>
  source.checks.map((check, i) => {
    const name = names.take(check.name ?? `${table.target}_check${i === 0 ? '' : i}`)
    const translation = translateCheck(check, tableContext(source, table.columns, schema.encoding), {
      table: targetOf(table),
      name,
      notValid: true,
    })
    const base = { type: 'check', table: source.name, name: check.name ?? check.expression } as const
    return isCarried(translation)
      ? carried(base, translation, [translation.sql, validateSql(table, name)], 'afterRows')
      : notCarried(base, translation)
  })

/** Keys, indexes, checks and the sequence of one table. */
export const decideTableObjects = (
  source: SqliteTable,
  table: TablePlan,
  names: ObjectNames,
  schema: SqliteSchema,
  longest: Longest,
): readonly ObjectDecision[] => {
  const identity = table.columns.find(({ identity }) => identity)
  const sequence: readonly ObjectDecision[] = identity
    ? [
        {
          type: 'sequence',
          table: source.name,
          name: identity.source,
          outcome: 'kept',
          why: table.highWater
            ? `goes on after ${table.highWater}, the largest id ever given out`
            : 'goes on after the largest id',
          suggestion: null,
          sql: [sequenceSql(table, identity.target)],
          phase: 'afterRows',
        },
      ]
    : []
  return [
    ...keyDecisions(source, table, names, schema, longest),
    ...indexDecisions(source, table, names, schema, longest),
    ...checkDecisions(source, table, names, schema),
    ...sequence,
  ]
}

const foreignKeyDecision = (
  source: SqliteTable,
  key: SqliteForeignKey,
  table: TablePlan,
  tables: readonly TablePlan[],
  names: ObjectNames,
  schema: SqliteSchema,
  longest: ReadonlyMap<string, Longest>,
): ObjectDecision => {
  const parentTable = schema.tables.find(({ name }) => foldAscii(name) === foldAscii(key.parentTable)) ?? null
  const parent = tables.find(({ source: name }) => name === parentTable?.name)
  const base = {
    type: 'foreignKey',
    table: source.name,
    name: key.name ?? `${key.columns.join(', ')} → ${key.parentTable}`,
  } as const
  const find = (plan: TablePlan | undefined, column: string) =>
    plan?.columns.find(({ source: name }) => foldAscii(name) === foldAscii(column))
  const hashed = parentTable && hashedKey(parentTable, key.parentColumns, longest.get(parentTable.name) ?? new Map())
  if (hashed)
    return notCarried(base, {
      reason: `it refers to a key of ${key.parentTable} that is kept over hashes (${hashed})`,
      suggestion: 'Shorten the values, or keep the reference by a trigger.',
    })
  const own = key.columns.map((column) => find(table, column))
  const theirs = key.parentColumns.map((column) => find(parent, column))
  if (parentTable && !parent)
    return notCarried(base, {
      reason: `the parent table ${key.parentTable} stays behind`,
      suggestion: 'Move it too, or add the key later.',
    })
  if (own.includes(undefined) || theirs.includes(undefined))
    return notCarried(base, { reason: 'it names a column that does not exist', suggestion: 'Drop the key in the file.' })
  const types = { columns: own.map((column) => column!.targetType), parentColumns: theirs.map((column) => column!.targetType) }
  const name = names.take(key.name ?? `${table.target}_${own.map((column) => column!.target).join('_')}_fkey`)
  const translation = translateForeignKey(key, {
    table: targetOf(table),
    name,
    parent: parent ? targetOf(parent) : targetOf(table),
    columns: own.map((column) => column!.target),
    parentColumns: theirs.map((column) => column!.target),
    types,
    parentTable,
    notValid: true,
  })
  return isCarried(translation)
    ? carried(base, translation, [translation.sql, validateSql(table, name)], 'afterAll')
    : notCarried(base, translation)
}

/** Foreign keys, views, triggers and virtual tables of the whole file. */
export const decideObjects = (
  schema: SqliteSchema,
  tables: readonly TablePlan[],
  names: ObjectNames,
  targetSchema: string,
  longest: ReadonlyMap<string, Longest>,
): readonly ObjectDecision[] => [
  ...tables.flatMap((table) => {
    const source = schema.tables.find(({ name }) => name === table.source)!
    return source.foreignKeys.map((key) => foreignKeyDecision(source, key, table, tables, names, schema, longest))
  }),
  ...viewDecisions(schema, tables, names, targetSchema),
  ...schema.triggers.map((trigger) =>
    notCarried({ type: 'trigger', table: trigger.table, name: trigger.name }, describeTrigger(trigger)),
  ),
  ...schema.virtualTables.map(({ name, module, shadowTables }) =>
    notCarried(
      { type: 'virtualTable', table: null, name },
      {
        reason: `a virtual table of the module ${module}${shadowTables.length > 0 ? `, with ${shadowTables.length} tables of its own` : ''}`,
        suggestion: /^fts/i.test(module)
          ? 'Use a tsvector column with a GIN index over the table it searches.'
          : 'Rebuild it with what Postgres has for it.',
      },
    ),
  ),
]

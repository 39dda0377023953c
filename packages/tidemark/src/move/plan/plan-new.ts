/** Plans a move into tables of its own making: types by what the values prove, every object of the schema kept, translated or named. */
import { TidemarkError } from '../../errors.js'
import type { SqliteColumn, SqliteDatabase, SqliteSchema, SqliteTable } from '../../sqlite/sqlite.js'
import { type Choices, policiesOf } from '../choices.js'
import { type ColumnPlan, type Hazard, isInvertible, type ObjectDecision, type TablePlan } from '../move.js'
import { fitIdentifier } from '../translate/identifiers.js'
import { chooseColumn } from './choose-column.js'
import { decideObjects, decideTableObjects, ObjectNames, translateColumnSql } from './decide-objects.js'
import { decideType, type TypeDecision } from './decide-type.js'
import { reportKeyOf, rowKeyOf } from './row-key.js'
import { type ColumnFacts, scanTable, type TableFacts } from './scan.js'

export interface NewOptions {
  readonly database: SqliteDatabase
  readonly schema: SqliteSchema
  readonly choices: Choices
  readonly identifiers: 'exact' | 'lower'
  readonly targetSchema: string
  readonly thorough: boolean
  readonly signal?: AbortSignal
  readonly onTable: (table: string, rows: number) => void
}

export interface NewTable {
  readonly plan: TablePlan
  readonly facts: TableFacts
  readonly doubts: readonly Hazard[]
}

/** Names as Postgres will have them: exact or folded, cut to 63 bytes, no two alike. */
const nameAll = (
  names: readonly { readonly source: string; readonly chosen: string | undefined }[],
  fold: boolean,
): ReadonlyMap<string, string> => {
  const taken = new Map<string, string>()
  const result = new Map<string, string>()
  for (const { source, chosen } of names) {
    const wanted = chosen ?? (fold ? source.toLowerCase() : source)
    const rival = taken.get(wanted)
    if (rival !== undefined)
      throw new TidemarkError('TM_MOVE_NAME_COLLISION', { names: `"${rival}" and "${source}"`, target: `"${wanted}"` })
    const target = fitIdentifier(wanted, new Set(result.values()))
    taken.set(wanted, source)
    result.set(source, target)
  }
  return result
}

const doubtOf = (table: string, column: string, { doubt, targetType }: TypeDecision, facts: ColumnFacts): readonly Hazard[] =>
  doubt
    ? [
        {
          code: doubt.code,
          severity: 'warning',
          table,
          column,
          count: facts.rows - facts.nulls,
          keys: [],
          message: `${doubt.message}: becomes ${targetType}`,
          suggestion: doubt.suggestion,
        },
      ]
    : []

/** Where a NULL stands in a primary key that SQLite allows, Postgres cannot have that key. */
const hasNullKey = (table: SqliteTable, facts: TableFacts): boolean =>
  table.rowidAlias === null && (table.primaryKey?.columns ?? []).some((name) => (facts.columns.get(name)?.nulls ?? 0) > 0)

const planColumn = (
  table: SqliteTable,
  column: SqliteColumn,
  decision: TypeDecision,
  target: string,
  choices: Choices,
): ColumnPlan => {
  const tableChoice = choices.tables[table.name]
  const isRowid = table.rowidAlias === column.name
  return {
    source: column.name,
    target,
    declaredType: column.declaredType,
    targetType: decision.targetType,
    conversion: decision.conversion,
    policies: policiesOf(choices, tableChoice, tableChoice?.columns?.[column.name]),
    notNull: column.notNull || isRowid,
    defaultSql: null,
    generatedSql: null,
    identity: isRowid && decision.targetType === 'bigint',
    why: decision.why,
    invertible: isInvertible(decision.conversion),
  }
}

const planTable = (options: NewOptions, table: SqliteTable, target: string): NewTable => {
  const { database, choices, thorough, signal, identifiers, targetSchema, onTable } = options
  const choice = choices.tables[table.name]
  const reportKey = reportKeyOf(table)
  const aims = new Map(
    Object.entries(choice?.columns ?? {}).flatMap(([name, { type }]) => (type ? [[name, aimOf(type)] as const] : [])),
  )
  const facts = scanTable(database, table, { thorough, reportKey, aims, ...(signal && { signal }) })
  onTable(table.name, facts.rows)
  const names = nameAll(
    table.columns.map(({ name }) => ({ source: name, chosen: choice?.columns?.[name]?.rename })),
    identifiers === 'lower',
  )
  const doubts: Hazard[] = []
  const columns = table.columns.map((column) => {
    const seen = facts.columns.get(column.name)!
    const entry = choice?.columns?.[column.name]
    const decision = chooseColumn(decideType(column, seen), entry, seen, `${table.name}.${column.name}`, choices.timeZone)
    doubts.push(...doubtOf(table.name, column.name, decision, seen))
    return planColumn(table, column, decision, names.get(column.name)!, choices)
  })
  const keyColumns = hasNullKey(table, facts) ? [] : (table.primaryKey?.columns ?? [])
  return {
    facts,
    doubts,
    plan: {
      source: table.name,
      targetSchema,
      target,
      rowKey: rowKeyOf(table),
      reportKey,
      rows: facts.rows,
      columns,
      primaryKey: keyColumns.map((name) => names.get(name)!),
      highWater: table.highWater === null ? null : String(table.highWater),
      requiredParents: [],
      rejectsAllowed: choice?.rejects === 'allow' || choices.rejects === 'allow',
    },
  }
}

const aimOf = (type: string): string =>
  /^time|^date/.test(type) ? 'DATETIME' : /json|uuid|boolean/.test(type) ? type.toUpperCase() : ''

/** Plans every table, then every object of the schema. Raises TM_MOVE_NAME_COLLISION. */
export const planNew = (
  options: NewOptions,
): { readonly tables: readonly NewTable[]; readonly objects: readonly ObjectDecision[] } => {
  const { schema, choices, identifiers } = options
  const names = nameAll(
    schema.tables.map(({ name }) => ({ source: name, chosen: choices.tables[name]?.rename })),
    identifiers === 'lower',
  )
  const planned = schema.tables.map((table) => planTable(options, table, names.get(table.name)!))
  const objects: ObjectDecision[] = []
  const tables = planned.map((table, i) => {
    const source = schema.tables[i]!
    const { columns, decisions } = translateColumnSql(source, table.plan, schema)
    objects.push(...decisions)
    return { ...table, plan: { ...table.plan, columns } }
  })
  const plans = tables.map(({ plan }) => plan)
  const objectNames = new ObjectNames(plans)
  for (const [i, plan] of plans.entries()) objects.push(...decideTableObjects(schema.tables[i]!, plan, objectNames, schema))
  objects.push(...decideObjects(schema, plans, objectNames, options.targetSchema))
  return { tables, objects }
}

/** Plans a move into tables of its own making: types by what the values prove, every object of the schema kept, translated or named. */
import { TidemarkError } from '../../errors.js'
import type { SqliteColumn, SqliteDatabase, SqliteSchema, SqliteTable } from '../../sqlite/sqlite.js'
import { type Choices, policiesOf } from '../choices.js'
import type { ColumnPlan, Hazard, ObjectDecision, TablePlan } from '../move.js'
import { fitIdentifier } from '../translate/identifiers.js'
import { chooseColumn, keepsForm } from './choose-column.js'
import { decideObjects, decideTableObjects, translateColumnSql } from './decide-objects.js'
import { decideType, type TypeDecision } from './decide-type.js'
import { ObjectNames } from './decision.js'
import { isTooLong } from './index-entries.js'
import { reportKeyOf, rowKeyOf } from './row-key.js'
import type { ColumnFacts, Scan, ScanRequest, TableFacts } from './scan.js'

export interface NewOptions {
  readonly database: SqliteDatabase
  readonly schema: SqliteSchema
  readonly choices: Choices
  readonly identifiers: 'exact' | 'lower'
  readonly targetSchema: string
  readonly thorough: boolean
  readonly scan: Scan
}

export interface NewTable {
  readonly plan: TablePlan
  readonly facts: TableFacts
  readonly doubts: readonly Hazard[]
  /** Columns of the file whose type was chosen, whatever their values. */
  readonly unproven: ReadonlySet<string>
}

/** Names that Postgres keeps for columns of its own in every table. */
const systemColumns = ['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']

/** Columns that one table of Postgres can have. */
const maxColumns = 1600

/** Names as Postgres will have them: exact or folded, cut to 63 bytes, no two alike. */
const nameAll = (
  names: readonly { readonly source: string; readonly chosen: string | undefined }[],
  fold: boolean,
  reserved: readonly string[] = [],
): ReadonlyMap<string, string> => {
  const taken = new Map<string, string>()
  const result = new Map<string, string>()
  for (const { source, chosen } of names) {
    const wanted = chosen ?? (fold ? source.toLowerCase() : source)
    const rival = taken.get(wanted)
    if (rival !== undefined)
      throw new TidemarkError('TM_MOVE_NAME_COLLISION', { names: `"${rival}" and "${source}"`, target: `"${wanted}"` })
    const target = fitIdentifier(wanted, new Set([...reserved, ...result.values()]))
    taken.set(wanted, source)
    result.set(source, target)
  }
  return result
}

/** Told where Postgres could not have the name that was wanted. */
const renamed = (table: string, column: string | null, wanted: string, target: string): readonly Hazard[] => {
  if (target === wanted) return []
  const reason = systemColumns.includes(wanted)
    ? 'a name that Postgres keeps for itself'
    : 'a name that does not fit into 63 bytes'
  const message = `${reason}: becomes ${target}`
  const suggestion = 'Give it a name of your own ("rename"); statements of the application have to use the new one.'
  return [{ code: 'renamed', severity: 'warning', table, column, count: 1, keys: [], message, suggestion }]
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

/** A primary key of Postgres is a B-tree: where an entry does not fit into one, there can be none. */
const hasLongKey = (table: SqliteTable, { longest }: TableFacts): boolean =>
  table.indexes.some((index) => index.origin === 'pk' && isTooLong(longest.get(index.name), index))

const planColumn = (
  table: SqliteTable,
  column: SqliteColumn,
  decision: TypeDecision,
  facts: ColumnFacts,
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
    invertible: keepsForm(decision.conversion, facts),
  }
}

const aimOf = (type: string): string =>
  /^time|^date/.test(type) ? 'DATETIME' : /json|uuid|boolean/.test(type) ? type.toUpperCase() : ''

const scanRequest = ({ database, choices, thorough }: NewOptions, table: SqliteTable): ScanRequest => {
  const chosen = Object.entries(choices.tables[table.name]?.columns ?? {})
  const aims = new Map(chosen.flatMap(([name, { type }]) => (type ? [[name, aimOf(type)] as const] : [])))
  return { table, reportKey: reportKeyOf(database, table), aims, thorough }
}

const planTable = (options: NewOptions, table: SqliteTable, target: string, facts: TableFacts): NewTable => {
  const { database, choices, identifiers, targetSchema } = options
  const choice = choices.tables[table.name]
  if (table.columns.length > maxColumns) {
    throw new TidemarkError('TM_MOVE_TOO_WIDE', { table: table.name, columns: table.columns.length })
  }
  const reportKey = reportKeyOf(database, table)
  const names = nameAll(
    table.columns.map(({ name }) => ({ source: name, chosen: choice?.columns?.[name]?.rename })),
    identifiers === 'lower',
    systemColumns,
  )
  const wantedName = (name: string, chosen: string | undefined) => chosen ?? (identifiers === 'lower' ? name.toLowerCase() : name)
  const doubts: Hazard[] = [...renamed(table.name, null, wantedName(table.name, choice?.rename), target)]
  const columns = table.columns.map((column) => {
    const seen = facts.columns.get(column.name)!
    const entry = choice?.columns?.[column.name]
    const decision = chooseColumn(decideType(column, seen), entry, seen, `${table.name}.${column.name}`, choices.timeZone)
    doubts.push(...doubtOf(table.name, column.name, decision, seen))
    doubts.push(...renamed(table.name, column.name, wantedName(column.name, entry?.rename), names.get(column.name)!))
    return planColumn(table, column, decision, seen, names.get(column.name)!, choices)
  })
  const keyColumns = hasNullKey(table, facts) || hasLongKey(table, facts) ? [] : (table.primaryKey?.columns ?? [])
  return {
    facts,
    doubts,
    unproven: new Set(Object.entries(choice?.columns ?? {}).flatMap(([name, { type }]) => (type ? [name] : []))),
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

/** Plans every table, then every object of the schema. Raises TM_MOVE_NAME_COLLISION, TM_MOVE_TOO_WIDE. */
export const planNew = async (
  options: NewOptions,
): Promise<{ readonly tables: readonly NewTable[]; readonly objects: readonly ObjectDecision[] }> => {
  const { schema, choices, identifiers } = options
  const names = nameAll(
    schema.tables.map(({ name }) => ({ source: name, chosen: choices.tables[name]?.rename })),
    identifiers === 'lower',
  )
  const facts = await options.scan(schema.tables.map((table) => scanRequest(options, table)))
  const planned = schema.tables.map((table, i) => planTable(options, table, names.get(table.name)!, facts[i]!))
  const objects: ObjectDecision[] = []
  const tables = planned.map((table, i) => {
    const source = schema.tables[i]!
    const { columns, decisions } = translateColumnSql(source, table.plan, schema)
    objects.push(...decisions)
    return { ...table, plan: { ...table.plan, columns } }
  })
  const plans = tables.map(({ plan }) => plan)
  const objectNames = new ObjectNames(plans)
  for (const [i, plan] of plans.entries())
    objects.push(...decideTableObjects(schema.tables[i]!, plan, objectNames, schema, facts[i]!.longest))
  const longest = new Map(schema.tables.map(({ name }, i) => [name, facts[i]!.longest]))
  objects.push(...decideObjects(schema, plans, objectNames, options.targetSchema, longest))
  return { tables, objects }
}

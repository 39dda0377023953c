/** Plans a move into tables that exist: the map says which goes where, the target's types say how. */
import type pg from 'pg'
import { TidemarkError } from '../../errors.js'
import type { SqliteDatabase, SqliteSchema, SqliteTable } from '../../sqlite/sqlite.js'
import { baseTypeOf, binaryTypes } from '../copy/encoders.js'
import type { ColumnMap, MoveMap, TableMap } from '../map.js'
import type { ColumnPlan, Conversion, Hazard, ObjectDecision, RequiredParent, TablePlan } from '../move.js'
import { quoteIdentifier, quoteLiteral } from '../translate/identifiers.js'
import { keepsForm, toBoolean, toBytes, toMoment, toText, toUuid } from './choose-column.js'
import { reportKeyOf, rowKeyOf } from './row-key.js'
import type { ColumnFacts, Scan, ScanRequest, TableFacts } from './scan.js'
import { readTargetTable, type TargetColumn, type TargetTable } from './target-catalogue.js'

export interface PlannedTable {
  readonly doubts?: readonly Hazard[]
  /** Columns of the file whose type was not decided by their values. */
  readonly unproven: ReadonlySet<string>
  readonly plan: TablePlan
  readonly facts: TableFacts
  /** True where a collation of the target's key calls different texts equal. */
  readonly hasLooseKey?: boolean
}

interface Pair {
  readonly source: SqliteTable
  readonly map: TableMap
  readonly target: TargetTable
}

const fail = (path: string, reason: string): TidemarkError => new TidemarkError('TM_MOVE_MAP_INVALID', { path, reason })

const splitName = (name: string, schema: string): readonly [string, string] => {
  const at = name.indexOf('.')
  return at < 0 ? [schema, name] : [name.slice(0, at), name.slice(at + 1)]
}

/** Every table of the file must be mapped or named as left behind, every column too: nothing is forgotten in silence (MOVE-3). */
const checkTables = (schema: SqliteSchema, map: MoveMap, path: string): void => {
  const names = schema.tables.map(({ name }) => name)
  const unknown = [...Object.keys(map.tables), ...map.ignoreTables].find((name) => !names.includes(name))
  if (unknown) throw fail(path, `the file has no table "${unknown}"`)
  const forgotten = names.find((name) => !(name in map.tables) && !map.ignoreTables.includes(name))
  if (forgotten) throw fail(path, `the table "${forgotten}" of the file is neither mapped nor named in "ignoreTables"`)
}

const checkColumns = ({ source, map, target }: Pair, path: string): void => {
  const names = source.columns.map(({ name }) => name)
  const unknown = [...Object.keys(map.columns), ...map.ignore].find((name) => !names.includes(name))
  if (unknown) throw fail(path, `the table "${source.name}" of the file has no column "${unknown}"`)
  const used = names.filter((name) => !map.ignore.includes(name)).map((name) => map.columns[name]?.to ?? name)
  if (used.length === 0) throw fail(path, `no column of the table "${source.name}" is mapped; name the table in "ignoreTables"`)
  const missing = used.find((name) => !target.columns.some((column) => column.name === name))
  if (missing)
    throw fail(path, `the table ${target.schema}.${target.name} has no column "${missing}"; name it in "ignore" or map it`)
  const twice = used.find((name, i) => used.indexOf(name) !== i)
  if (twice) throw fail(path, `two columns of "${source.name}" go to "${twice}"`)
  const starving = target.columns.find(
    ({ name, notNull, hasDefault, generated }) => notNull && !hasDefault && !generated && !used.includes(name),
  )
  if (starving)
    throw fail(
      path,
      `the column ${target.schema}.${target.name}.${starving.name} needs a value and has no default, and nothing is mapped to it`,
    )
}

/** What a column is looked at for, told to the scan as a declared type. */
const aimOf = (type: string, as: ColumnMap['as']): string => {
  const wanted = as ?? baseTypeOf(type)
  if (wanted.startsWith('uuid')) return 'UUID'
  if (wanted.startsWith('json')) return 'JSON'
  if (/^(?:time|date)/.test(wanted)) return 'DATETIME'
  return wanted === 'boolean' ? 'BOOLEAN' : ''
}

const byAs = (as: NonNullable<ColumnMap['as']>, facts: ColumnFacts, entry: ColumnMap, map: MoveMap): Conversion => {
  switch (as) {
    case 'uuid':
      return toUuid(facts, map.namespace)
    case 'uuid-dashless':
      return { kind: 'uuid', form: 'dashless', namespace: map.namespace }
    case 'uuid-mapped':
      return { kind: 'uuid', form: 'mapped', namespace: map.namespace }
    case 'timestamp':
    case 'timestamptz':
      return toMoment(as, facts, entry.timeZone ?? map.timeZone)
    case 'time':
      return { kind: 'time', fraction: 'trim' }
    case 'boolean':
      return toBoolean(facts, null, entry)
    case 'text':
      return toText(facts)
    case 'bytes':
      return toBytes(facts)
    case 'epoch-seconds':
    case 'epoch-milliseconds':
    case 'epoch-microseconds':
      return { kind: 'epoch', unit: as.slice('epoch-'.length) as 'seconds' | 'milliseconds' | 'microseconds' }
    default:
      return { kind: as }
  }
}

/** Whole numbers as times since 1970: the unit that puts the largest before the year 5138. */
const epochOf = (largest: bigint): NonNullable<ColumnMap['as']> =>
  largest < 100_000_000_000n ? 'epoch-seconds' : largest < 100_000_000_000_000n ? 'epoch-milliseconds' : 'epoch-microseconds'

/** The conversion that a target type asks for when the map does not say. */
const asOfType = (type: string, facts: ColumnFacts): NonNullable<ColumnMap['as']> | undefined => {
  const isNumbers = facts.texts + facts.blobs === 0 && facts.integers > 0
  switch (type) {
    case 'smallint':
    case 'integer':
    case 'bigint':
      return 'integer'
    case 'real':
    case 'double precision':
      return 'real'
    case 'numeric':
    case 'boolean':
    case 'date':
    case 'uuid':
    case 'json':
    case 'jsonb':
      return type
    case 'bytea':
      return 'bytes'
    case 'time without time zone':
      return 'time'
    case 'timestamp without time zone':
      return 'timestamp'
    case 'timestamp with time zone':
      return isNumbers ? epochOf(facts.maxInteger ?? 0n) : 'timestamptz'
    default:
      return binaryTypes.has(type) ? 'text' : undefined
  }
}

const numbers = ['smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision']
const texts = ['text', 'character varying', 'character', 'citext', 'name']

/** The types of Postgres that each conversion of the map may go into: their binary forms look alike to COPY, and mean different things. */
const targetsOf: Readonly<Record<Conversion['kind'], readonly string[]>> = {
  integer: numbers,
  real: numbers,
  numeric: numbers,
  text: texts,
  anyText: texts,
  bytes: ['bytea'],
  anyBytes: ['bytea'],
  boolean: ['boolean'],
  date: ['date'],
  time: ['time without time zone'],
  timestamp: ['timestamp without time zone'],
  timestamptz: ['timestamp with time zone'],
  epoch: ['timestamp with time zone'],
  uuid: ['uuid'],
  json: ['json'],
  jsonb: ['jsonb'],
}

const canReceive = ({ isEnum, type }: TargetColumn, { kind }: Conversion): boolean =>
  isEnum ? kind === 'text' || kind === 'anyText' : targetsOf[kind].includes(baseTypeOf(type))

const planColumn = (pair: Pair, name: string, facts: ColumnFacts, map: MoveMap): ColumnPlan => {
  const column = pair.source.columns.find((candidate) => candidate.name === name)!
  const entry: ColumnMap = pair.map.columns[name] ?? {}
  const target = pair.target.columns.find((candidate) => candidate.name === (entry.to ?? name))!
  const as = entry.as ?? (target.isEnum ? 'text' : asOfType(baseTypeOf(target.type), facts))
  const conversion = as && byAs(as, facts, entry, map)
  if (!conversion || !canReceive(target, conversion)) {
    const given = column.declaredType || 'a column without a type'
    throw new TidemarkError('TM_MOVE_TYPE_UNSUPPORTED', {
      column: `${pair.target.schema}.${pair.target.name}.${target.name}`,
      type: target.type,
      source: entry.as ? `${given} as "${entry.as}"` : given,
    })
  }
  const rejectsAllowed = pair.map.rejects === 'allow' || [entry.onBadValue, entry.nulBytes, entry.invalidUtf8].includes('reject')
  return {
    source: name,
    target: target.name,
    declaredType: column.declaredType,
    targetType: target.type,
    conversion,
    policies: {
      badValue: entry.onBadValue ?? 'reject',
      nulBytes: entry.nulBytes ?? 'reject',
      invalidUtf8: entry.invalidUtf8 ?? 'reject',
      nullAs: entry.nullAs ?? null,
      rejectsAllowed,
    },
    notNull: target.notNull,
    defaultSql: null,
    generatedSql: target.generated ? 'generated by the target' : null,
    identity: target.identity,
    why: entry.as ? 'by the map' : `the target's column is ${target.type}`,
    invertible: keepsForm(conversion, facts),
  }
}

/** Foreign keys of the target between mapped tables, as conditions on the file. */
const requiredParents = (pair: Pair, pairs: readonly Pair[]): readonly RequiredParent[] => {
  const sourceColumn = ({ source, map }: Pair, target: string) =>
    source.columns.find(({ name }) => !map.ignore.includes(name) && (map.columns[name]?.to ?? name) === target)?.name
  return pair.target.foreignKeys.flatMap(({ columns, parentSchema, parent, parentColumns }) => {
    const parentPair = pairs.find(({ target }) => target.schema === parentSchema && target.name === parent)
    const own = columns.map((column) => sourceColumn(pair, column))
    const theirs = parentPair ? parentColumns.map((column) => sourceColumn(parentPair, column)) : []
    const isKnown = parentPair && own.every((name) => name !== undefined) && theirs.every((name) => name !== undefined)
    return isKnown ? [{ columns: own as string[], parentTable: parentPair.source.name, parentColumns: theirs as string[] }] : []
  })
}

const sequenceObjects = ({ source, target }: Pair, columns: readonly ColumnPlan[]): readonly ObjectDecision[] =>
  columns.flatMap(({ source: from, target: name }) => {
    const column: TargetColumn | undefined = target.columns.find((candidate) => candidate.name === name)
    if (!column?.sequence) return []
    const table = `${quoteIdentifier(target.schema)}.${quoteIdentifier(target.name)}`
    const highWater = source.rowidAlias === from ? source.highWater : null
    const largest = `greatest((SELECT max(${quoteIdentifier(name)}) FROM ${table}), ${highWater ?? 'NULL'}::bigint)`
    const sql = `SELECT setval(${quoteLiteral(column.sequence)}, greatest(${largest}, 1), coalesce(${largest} >= 1, false))`
    return [
      {
        type: 'sequence',
        table: target.name,
        name,
        outcome: 'kept',
        why: highWater === null ? 'goes on after the largest id' : `goes on after ${highWater}, the largest id ever given out`,
        suggestion: null,
        sql: [sql],
        phase: 'afterRows',
      } as const,
    ]
  })

export interface ExistingPlan {
  readonly tables: readonly PlannedTable[]
  readonly objects: readonly ObjectDecision[]
}

export interface ExistingOptions {
  readonly database: SqliteDatabase
  readonly client: pg.Client
  readonly schema: SqliteSchema
  readonly map: MoveMap
  readonly mapPath: string
  readonly targetSchema: string
  readonly thorough: boolean
  readonly scan: Scan
}

const usedColumns = ({ source, map }: Pair): readonly string[] =>
  source.columns.map(({ name }) => name).filter((name) => !map.ignore.includes(name))

const scanRequest = ({ database, thorough }: ExistingOptions, pair: Pair): ScanRequest => {
  const aims = new Map(
    usedColumns(pair).map((name) => {
      const entry = pair.map.columns[name]
      const target = pair.target.columns.find((column) => column.name === (entry?.to ?? name))!
      return [name, aimOf(target.type, entry?.as)]
    }),
  )
  return { table: pair.source, reportKey: reportKeyOf(database, pair.source), aims, thorough }
}

/** Pairs tables by the map and plans each. Raises TM_MOVE_MAP_INVALID, TM_MOVE_TARGET_MISSING, TM_MOVE_TYPE_UNSUPPORTED. */
export const planExisting = async (options: ExistingOptions): Promise<ExistingPlan> => {
  const { client, schema, map, mapPath, targetSchema } = options
  checkTables(schema, map, mapPath)
  const pairs: Pair[] = []
  for (const source of schema.tables.filter(({ name }) => name in map.tables)) {
    const entry = map.tables[source.name]!
    const [inSchema, name] = splitName(entry.to, targetSchema)
    const target = await readTargetTable(client, inSchema, name)
    if (!target) throw new TidemarkError('TM_MOVE_TARGET_MISSING', { table: `${inSchema}.${name}` })
    const pair = { source, map: entry, target }
    checkColumns(pair, mapPath)
    pairs.push(pair)
  }
  const facts = await options.scan(pairs.map((pair) => scanRequest(options, pair)))
  const tables: PlannedTable[] = []
  const objects: ObjectDecision[] = []
  for (const [i, pair] of pairs.entries()) {
    const { source, target } = pair
    const seen = facts[i]!
    const columns = usedColumns(pair).map((name) => planColumn(pair, name, seen.columns.get(name)!, map))
    objects.push(...sequenceObjects(pair, columns))
    tables.push({
      facts: seen,
      unproven: new Set(usedColumns(pair)),
      hasLooseKey: target.columns.some(({ name, isLoose }) => isLoose && target.primaryKey.includes(name)),
      plan: {
        source: source.name,
        targetSchema: target.schema,
        target: target.name,
        rowKey: rowKeyOf(source),
        reportKey: reportKeyOf(options.database, source),
        rows: seen.rows,
        columns,
        primaryKey: target.primaryKey.every((name) => columns.some((column) => column.target === name)) ? target.primaryKey : [],
        highWater: source.highWater === null ? null : String(source.highWater),
        requiredParents: requiredParents(pair, pairs),
        rejectsAllowed: pair.map.rejects === 'allow',
      },
    })
  }
  return { tables, objects }
}

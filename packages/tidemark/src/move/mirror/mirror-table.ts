/** One moved table as the mirror sees it: which column of Postgres goes into which of the file, and how its rows are told apart. */
import type { CaptureTable, LogKey } from '../../sqlite/capture/capture.js'
import type { SqliteTable } from '../../sqlite/sqlite.js'
import { createInverter, goesBackExactly } from '../invert/create-inverter.js'
import type { FileValue, Inverter, LegacyIds } from '../invert/invert.js'
import { createSameValue, type SameValue } from '../invert/same-value.js'
import { rowColumn } from '../log-key.js'
import type { ColumnPlan, TablePlan } from '../move.js'

export interface MirrorColumn {
  readonly plan: ColumnPlan
  readonly source: string
  readonly target: string
  /** False where the file's value cannot be told from what Postgres holds; it is then left alone unless Postgres changed it. */
  readonly isExact: boolean
  readonly isSame: SameValue
}

export interface MirrorTable {
  readonly plan: TablePlan
  readonly file: SqliteTable
  readonly capture: CaptureTable
  readonly inverter: Inverter
  /** Those that are written: present in Postgres' feed and no generated column of the file. */
  readonly columns: readonly MirrorColumn[]
  /** Of the target's primary key, in its order; empty where rows are told apart by all of their values. */
  readonly key: readonly MirrorColumn[]
  /** By what a row of the file that was found is named until it is changed. */
  readonly handle: LogKey
  /** False where two rows of the file may have the same handle. */
  readonly hasUniqueHandle: boolean
  /** Some column's identifiers have to be looked up in the map. */
  readonly hasMappedIds: boolean
  /** Columns that Postgres computes and its feed does not tell, though the file keeps them as ordinary ones. */
  readonly untold: readonly string[]
}

/** The rowid where it can be named; else the primary key; else all columns, and then rows may be alike. */
const handleOf = (file: SqliteTable): { readonly handle: LogKey; readonly isUnique: boolean } => {
  if (file.rowidName !== null) return { handle: { kind: 'rowid', name: file.rowidName }, isUnique: true }
  const stored = file.columns.filter(({ generated }) => generated?.kind !== 'virtual').map(({ name }) => name)
  return file.withoutRowid && file.primaryKey
    ? { handle: { kind: 'columns', columns: file.primaryKey.columns }, isUnique: true }
    : { handle: { kind: 'columns', columns: stored }, isUnique: false }
}

const ignore = () => undefined

const mirrorColumn = (column: ColumnPlan, file: SqliteTable, inverter: Inverter): MirrorColumn => {
  const back = (text: string): FileValue | undefined => inverter.value(column.target, text, ignore)
  return {
    plan: column,
    source: column.source,
    target: column.target,
    isExact: goesBackExactly(column, file),
    isSame: createSameValue(column, back),
  }
}

/** Puts the plan of a table and the table of the file together. */
export const mirrorTable = (plan: TablePlan, file: SqliteTable, capture: CaptureTable, ids: LegacyIds): MirrorTable => {
  const inverter = createInverter(plan, { file, ids })
  const ordinary = new Set(file.columns.filter(({ generated }) => generated === null).map(({ name }) => name))
  const carried = plan.columns.filter(({ target, source }) => target !== rowColumn && ordinary.has(source))
  const columns = carried
    .filter(({ generatedSql }) => generatedSql === null)
    .map((column) => mirrorColumn(column, file, inverter))
  const key = plan.primaryKey.map((name) => columns.find(({ target }) => target === name))
  const isWhole = key.every((column) => column !== undefined)
  const { handle, isUnique } = handleOf(file)
  return {
    plan,
    file,
    capture,
    inverter,
    columns,
    key: isWhole ? (key as readonly MirrorColumn[]) : [],
    handle,
    hasUniqueHandle: isUnique,
    hasMappedIds: columns.some(({ plan: { conversion } }) => conversion.kind === 'uuid' && conversion.form === 'mapped'),
    untold: carried.filter(({ generatedSql }) => generatedSql !== null).map(({ source }) => source),
  }
}

/**
 * Whether Postgres must log whole old rows while the table is mirrored: to tell rows without a key apart, and to see which columns changed
 * where a value of the file cannot be had back.
 */
export const needsFullIdentity = ({ key, columns }: Pick<MirrorTable, 'key' | 'columns'>): boolean =>
  key.length === 0 || columns.some(({ isExact }) => !isExact)

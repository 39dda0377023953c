/** By what the log of a live move names the rows of a table, and which columns of the target stand for it. */
import { affinityOf } from '../sqlite/affinity.js'
import type { CaptureTable, LogKey } from '../sqlite/capture/capture.js'
import { baseTypeOf, binaryTypes } from './copy/encoders.js'
import type { ColumnPlan, MovePlan, TablePlan } from './move.js'

/**
 * The column that the target has from the copy until the cutover where its key does not stand for the file's: the rowid, by which the log
 * names the row.
 */
export const rowColumn = '_tidemark_rowid'

/** Types whose equality is not that of their bytes, or which cannot be staged as they are. */
const looseTypes = new Set(['citext', 'character', 'name'])

/**
 * True where no two values that SQLite tells apart become equal in Postgres, but for those that {@link isPlainKeyValue} names: only then can
 * a row be found, and removed, by what became of its key.
 */
const keepsApart = ({ conversion, policies, targetType, declaredType, generatedSql }: ColumnPlan): boolean => {
  const type = baseTypeOf(targetType)
  if (generatedSql !== null || !binaryTypes.has(type) || looseTypes.has(type)) return false
  // A policy that writes NULL makes one of many values.
  if ([policies.badValue, policies.nulBytes, policies.invalidUtf8].includes('null')) return false
  switch (conversion.kind) {
    case 'anyText':
    case 'anyBytes':
    case 'boolean':
    case 'json':
    case 'jsonb':
      return false
    case 'timestamp':
    case 'timestamptz':
      return conversion.format !== null
    case 'uuid':
      // Without an affinity the number 1 and the text '1' may stand side by side, and get one uuid.
      return conversion.form !== 'mapped' || (affinityOf(declaredType) !== 'BLOB' && !/^any$/i.test(declaredType))
    default:
      return true
  }
}

/**
 * False for the few values whose uuid or text another value may share (upper-case digits, text put right by a policy): where one turns up,
 * the table is copied anew rather than touched by key.
 */
export const isPlainKeyValue = ({ conversion, policies }: ColumnPlan, value: unknown): boolean => {
  if (value === null) return policies.nullAs === null
  if (typeof value !== 'string') return true
  if (conversion.kind === 'uuid') return conversion.form === 'mapped' || !/[A-F]/.test(value)
  if (conversion.kind !== 'text') return true
  const changes = (policy: string) => policy !== 'reject' && policy !== 'null'
  return !(value.includes('\0') && changes(policies.nulBytes)) && !(value.includes('\uFFFD') && changes(policies.invalidUtf8))
}

/** The columns of the file's own key in the order of the target's, where that is made of them and tells the same rows apart. */
const ownKey = ({ reportKey, primaryKey, columns }: TablePlan): readonly ColumnPlan[] | null => {
  const found = primaryKey.map((name) => columns.find(({ source, target }) => target === name && reportKey.includes(source)))
  const isWhole = found.length === reportKey.length && found.every((column) => column !== undefined && keepsApart(column))
  return isWhole && found.length > 0 ? (found as readonly ColumnPlan[]) : null
}

/** True where the log can name the rows by their own key, so that the target needs no column for the rowid. */
export const hasOwnKey = (table: TablePlan): boolean => ownKey(table) !== null

/** The columns that hold the log's key, in its order; none where rows cannot be told apart. */
export const keyColumnsOf = (table: TablePlan): readonly ColumnPlan[] => {
  const row = table.columns.find(({ target }) => target === rowColumn)
  return row ? [row] : (ownKey(table) ?? [])
}

/** By what the log names the rows of a planned table. */
export const logKeyOf = (table: TablePlan): LogKey => {
  const columns = keyColumnsOf(table)
  if (columns[0]?.target === rowColumn) return { kind: 'rowid', name: columns[0].source }
  return columns.length > 0 ? { kind: 'columns', columns: columns.map(({ source }) => source) } : { kind: 'none' }
}

/** The tables of a plan as the capture numbers them: by their place in the plan, from 1. */
export const captureTablesOf = (plan: MovePlan): readonly CaptureTable[] =>
  plan.tables.map((table, i) => ({ id: i + 1, name: table.source, key: logKeyOf(table) }))

/** The table without the column that goes at the cutover. */
export const withoutRowColumn = (table: TablePlan): TablePlan => ({
  ...table,
  columns: table.columns.filter(({ target }) => target !== rowColumn),
})

/** What a plan has besides, where the move follows its file. */
import { TidemarkError } from '../../errors.js'
import { isCaptureName } from '../../sqlite/capture/capture.js'
import type { SqliteSchema } from '../../sqlite/sqlite.js'
import { hasOwnKey, rowColumn } from '../log-key.js'
import type { ColumnPlan, Hazard, MovePlan, ObjectDecision, TablePlan } from '../move.js'
import { fitIdentifier, qualifiedName, quoteIdentifier } from '../translate/translate.js'

/** The schema without what a move itself put into the file. */
export const withoutCapture = (schema: SqliteSchema): SqliteSchema => {
  const isOwn = ({ name }: { readonly name: string }) => !isCaptureName(name)
  return {
    ...schema,
    tables: schema.tables.filter(isOwn),
    triggers: schema.triggers.filter(isOwn),
    unreadable: schema.unreadable.filter(isOwn),
  }
}

/** The column that holds the rowid until the cutover. */
const rowColumnPlan = (source: string): ColumnPlan => ({
  source,
  target: rowColumn,
  declaredType: '',
  targetType: 'bigint',
  conversion: { kind: 'integer' },
  policies: { badValue: 'reject', nulBytes: 'reject', invalidUtf8: 'reject', nullAs: null, rejectsAllowed: false },
  notNull: false,
  defaultSql: null,
  generatedSql: null,
  identity: false,
  why: 'the rowid, by which changes find the row until the cutover',
  invertible: true,
})

const refuseLooseKey = ({ source, targetSchema, target, primaryKey }: TablePlan): never => {
  throw new TidemarkError('TM_MOVE_TYPE_UNSUPPORTED', {
    column: `${targetSchema}.${target}.${primaryKey.join(', ')}`,
    type: 'text with a collation that calls different texts equal',
    source: `the key of ${source}, whose rows have no rowid to follow them by`,
  })
}

/**
 * A table as it is followed. Where its own key does not stand for the same rows in Postgres, the log names them by rowid, and so do reports,
 * since nothing else is known of a row that is gone. Foreign keys wait for the cutover, so rows without a parent come along.
 */
const liveTable = (table: TablePlan, hasLooseKey: boolean): TablePlan => {
  const free = { ...table, requiredParents: [] }
  const { rowKey, columns } = table
  if (columns.some(({ target }) => target === rowColumn) || (hasOwnKey(table) && !hasLooseKey)) return free
  if (rowKey.kind !== 'rowid') return hasOwnKey(table) ? refuseLooseKey(table) : free
  const { name } = rowKey
  return { ...free, reportKey: [name], columns: [...columns, rowColumnPlan(name)] }
}

/** The name of the index on the row column. */
export const rowIndexName = ({ target }: Pick<TablePlan, 'target'>): string => fitIdentifier(`${target}_${rowColumn}_idx`)

const rowIndex = (table: TablePlan): readonly ObjectDecision[] => {
  if (!table.columns.some(({ target }) => target === rowColumn)) return []
  const name = rowIndexName(table)
  const on = qualifiedName({ schema: table.targetSchema, name: table.target })
  return [
    {
      type: 'index',
      table: table.source,
      name,
      outcome: 'kept',
      why: 'finds rows by their rowid; it goes with its column at the cutover',
      suggestion: null,
      sql: [`CREATE INDEX IF NOT EXISTS ${quoteIdentifier(name)} ON ${on} (${quoteIdentifier(rowColumn)})`],
      phase: 'afterRows',
    },
  ]
}

/** A plan's tables and objects as a live move has them; `looseKeys` are tables whose key in the target calls different texts equal. */
export const liveShape = (
  { tables, objects }: Pick<MovePlan, 'tables' | 'objects'>,
  looseKeys: readonly string[] = [],
): Pick<MovePlan, 'tables' | 'objects'> => {
  const live = tables.map((table) => liveTable(table, looseKeys.includes(table.source)))
  return { tables: live, objects: [...objects, ...live.flatMap(rowIndex)] }
}

/** Orphans are no loss where foreign keys wait for the cutover: those are made for new rows only then. */
export const liveHazard = (hazard: Hazard): Hazard =>
  hazard.code === 'orphan'
    ? {
        ...hazard,
        severity: 'warning',
        message: hazard.message.replace(
          /, and the target demands one.*$/,
          ': kept as they are, and the foreign key holds for new rows only from the cutover on (NOT VALID)',
        ),
        suggestion: 'Add the parent or delete the row in the file before the cutover.',
      }
    : hazard

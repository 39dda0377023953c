import type { TablePlan } from '../move.js'
import { qualifiedName, quoteIdentifier, quoteLiteral } from '../translate/translate.js'

/** Sets the sequence behind an identity column so that the next id is one that was never given out, as AUTOINCREMENT promises. */
export const sequenceSql = (table: TablePlan, column: string): string => {
  const name = qualifiedName({ schema: table.targetSchema, name: table.target })
  const largest = `greatest((SELECT max(${quoteIdentifier(column)}) FROM ${name}), ${table.highWater ?? 'NULL'}::bigint)`
  const sequence = `pg_get_serial_sequence(${quoteLiteral(name)}, ${quoteLiteral(column)})`
  return `SELECT setval(${sequence}, greatest(${largest}, 1), coalesce(${largest} >= 1, false))`
}

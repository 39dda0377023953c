/** What a column of the file makes of a value that is bound to it. */
import { affinityOf } from '../../sqlite/affinity.js'
import type { Affinity } from '../../sqlite/sqlite.js'
import type { ColumnPlan } from '../move.js'
import type { FileTable } from './invert.js'

/** How one column of the file keeps its values. */
export interface FileColumn {
  readonly affinity: Affinity
  readonly nullable: boolean
}

/** Without the file's table, by what the plan knows of the column. */
export const fileColumnOf = ({ source, declaredType }: ColumnPlan, table?: FileTable): FileColumn => {
  const column = table?.columns.find(({ name }) => name === source)
  return { affinity: column?.affinity ?? affinityOf(declaredType, table?.strict), nullable: !column?.notNull }
}

const numberForm = /^[ \t\n\v\f\r]*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[ \t\n\v\f\r]*$/
const wholeForm = /^[ \t\n\v\f\r]*[+-]?\d+[ \t\n\v\f\r]*$/

const lowestInteger = -(2n ** 63n)
const highestInteger = 2n ** 63n - 1n

/** Whether SQLite has a whole number for it. */
export const fitsInteger = (value: bigint): boolean => value >= lowestInteger && value <= highestInteger

/** Whether a text stays one in a column of this affinity. */
export const staysText = (text: string, affinity: Affinity): boolean =>
  affinity === 'TEXT' || affinity === 'BLOB' || !numberForm.test(text)

/** The number that a column of a numeric affinity makes of a text that looks like one. */
export const asNumber = (text: string, affinity: Affinity): bigint | number => {
  const trimmed = text.replace(/^[\s+]+|\s+$/g, '')
  if (affinity !== 'REAL' && wholeForm.test(text) && fitsInteger(BigInt(trimmed))) return BigInt(trimmed)
  const number = Number(trimmed)
  const isWhole = affinity !== 'REAL' && Number.isInteger(number) && Math.abs(number) < 2 ** 63
  return isWhole ? BigInt(number) : number
}

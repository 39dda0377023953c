/**
 * How fine the file's column keeps what Postgres keeps finer. A value that goes back is cut to it (moments) or becomes the nearest number that
 * there is; a comparison of the two sides while Postgres is the truth has to look no closer.
 */
import { baseTypeOf } from '../copy/encoders.js'
import type { ColumnPlan, MomentFormat, TablePlan } from '../move.js'
import { fileColumnOf } from './file-affinity.js'

export type FileResolution =
  /** Of a moment: a power of ten, or a minute. */
  | { readonly kind: 'microseconds'; readonly step: 10 | 100 | 1000 | 10_000 | 100_000 | 1_000_000 | 60_000_000 }
  /** Of a number: a double. Whole numbers of 64 bits are kept as they are, unless the column makes reals of them. */
  | { readonly kind: 'double'; readonly keepsReals: boolean }

const steps = [1_000_000, 100_000, 10_000, 1000, 100, 10] as const

const byDigits = (digits: MomentFormat['fraction']): FileResolution | null => {
  const step = typeof digits === 'number' ? steps[digits] : undefined
  return step === undefined ? null : { kind: 'microseconds', step }
}

/** Null where the file's column keeps whatever the column of Postgres can. */
export const fileResolutionOf = (column: ColumnPlan): FileResolution | null => {
  const { conversion, targetType } = column
  switch (conversion.kind) {
    case 'epoch':
      return byDigits({ seconds: 0, milliseconds: 3, microseconds: 6 }[conversion.unit])
    case 'time':
      return byDigits(conversion.fraction)
    case 'timestamp':
    case 'timestamptz':
      if (conversion.format === null) return null
      return conversion.format.seconds ? byDigits(conversion.format.fraction) : { kind: 'microseconds', step: 60_000_000 }
    case 'integer':
    case 'real':
    case 'numeric': {
      const { affinity } = fileColumnOf(column)
      const keepsReals = affinity === 'REAL' || (affinity === 'BLOB' && conversion.kind === 'real')
      return baseTypeOf(targetType) === 'numeric' ? { kind: 'double', keepsReals } : null
    }
    default:
      return null
  }
}

/** Keys are never taken for alike: two rows of Postgres may become one. */
export const isNarrowable = ({ primaryKey }: Pick<TablePlan, 'primaryKey'>, { target }: Pick<ColumnPlan, 'target'>): boolean =>
  !primaryKey.includes(target)

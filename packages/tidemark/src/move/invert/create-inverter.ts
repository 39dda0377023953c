import { TidemarkError } from '../../errors.js'
import { type ColumnPlan, standInForNull, type TablePlan } from '../move.js'
import { type FileColumn, fileColumnOf } from './file-affinity.js'
import type { FileTable, FileValue, Inverter, LegacyIds, Tell } from './invert.js'
import { invertDate, invertEpoch, invertTime, invertTimestamp, invertTimestamptz } from './invert-moment.js'
import { type Invert, invertNumber } from './invert-number.js'
import {
  guardText,
  invertAnyBytes,
  invertAnyText,
  invertBoolean,
  invertBytes,
  invertJson,
  invertText,
  invertUuid,
} from './invert-text.js'

const conversionBack = (column: ColumnPlan, file: FileColumn, ids: LegacyIds): Invert => {
  const { conversion } = column
  switch (conversion.kind) {
    case 'integer':
    case 'real':
    case 'numeric':
      return invertNumber(column, file)
    case 'text':
      return guardText(invertText(column), file)
    case 'anyText':
      return invertAnyText(file)
    case 'bytes':
      return invertBytes
    case 'anyBytes':
      return invertAnyBytes(file)
    case 'boolean':
      return invertBoolean(conversion, file)
    case 'date':
      return guardText(invertDate, file)
    case 'time':
      return guardText(invertTime(conversion), file)
    case 'timestamp':
      return guardText(invertTimestamp(conversion), file)
    case 'timestamptz':
      return guardText(invertTimestamptz(conversion), file)
    case 'epoch':
      return invertEpoch(conversion)
    case 'uuid':
      return guardText(invertUuid(conversion, file, ids), file)
    case 'json':
    case 'jsonb':
      return invertJson(file)
  }
}

const sameValue = (a: FileValue, b: FileValue): boolean =>
  Buffer.isBuffer(a) || Buffer.isBuffer(b) ? Buffer.isBuffer(a) && Buffer.isBuffer(b) && a.equals(b) : String(a) === String(b)

/** The value that stands for NULL in the target goes back as NULL, where the file has a place for it. */
const withStandIn = (column: ColumnPlan, file: FileColumn, invert: Invert): Invert => {
  if (column.policies.nullAs === null || !column.notNull || !file.nullable) return invert
  const standIn = standInForNull(column)
  return (text, tell) => {
    const value = invert(text, tell)
    return sameValue(value, standIn) ? null : value
  }
}

interface ColumnBack {
  readonly column: ColumnPlan
  readonly invert: Invert
  readonly isExact: boolean
}

/**
 * Whether what the column reads in Postgres tells what its value in the file is, byte for byte. Not so where a policy may have put something
 * else in its place, or two values of the file look alike in Postgres.
 */
export const goesBackExactly = (column: ColumnPlan, table?: FileTable): boolean => {
  const { badValue, nulBytes, invalidUtf8, nullAs } = column.policies
  const { affinity } = fileColumnOf(column, table)
  const replaces = badValue === 'null' || nulBytes !== 'reject' || invalidUtf8 !== 'reject' || (nullAs !== null && column.notNull)
  const isMapped = column.conversion.kind === 'uuid' && column.conversion.form === 'mapped'
  const losesClass = affinity === 'BLOB' && (column.conversion.kind === 'numeric' || isMapped)
  return column.invertible && !replaces && !losesClass
}

const none = () => undefined

class TableInverter implements Inverter {
  readonly #table: TablePlan
  readonly #columns: ReadonlyMap<string, ColumnBack>
  /** Namespaces of the columns whose identifiers the copy mapped. */
  readonly #mapped: ReadonlyMap<string, string>

  constructor(table: TablePlan, file: FileTable | undefined, ids: LegacyIds) {
    this.#table = table
    this.#mapped = new Map(
      table.columns.flatMap(({ target, conversion }) =>
        conversion.kind === 'uuid' && conversion.form === 'mapped' ? [[target, conversion.namespace] as const] : [],
      ),
    )
    this.#columns = new Map(
      table.columns.map((column) => {
        const own = fileColumnOf(column, file)
        const invert = withStandIn(column, own, conversionBack(column, own, ids))
        return [column.target, { column, invert, isExact: goesBackExactly(column, file) }]
      }),
    )
  }

  #of(target: string): ColumnBack {
    const found = this.#columns.get(target)
    if (found) return found
    throw new TidemarkError('TM_MOVE_INVERT', {
      column: `${this.#table.target}.${target}`,
      reason: 'the move has no such column',
    })
  }

  value(target: string, text: string | null, tell: Tell): FileValue {
    const { invert } = this.#of(target)
    if (text === null) return null
    try {
      return invert(text, tell)
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      throw new TidemarkError(
        'TM_MOVE_INVERT',
        { column: `${this.#table.target}.${target}`, reason: error.message },
        { cause: error },
      )
    }
  }

  key(targets: readonly string[], texts: readonly (string | null)[]): readonly FileValue[] | undefined {
    let isExact = true
    const tell = () => {
      isExact = false
    }
    const values = targets.map((target, i) => {
      isExact &&= this.#of(target).isExact
      return this.value(target, texts[i] ?? null, tell)
    })
    return isExact ? values : undefined
  }

  mapped(
    columns: readonly { readonly target: string }[],
    rows: Iterable<readonly (string | null | undefined)[]>,
  ): ReadonlyMap<string, ReadonlySet<string>> {
    const found = new Map<string, Set<string>>()
    if (this.#mapped.size === 0) return found
    const wanted = columns.flatMap(({ target }, index) => {
      const namespace = this.#mapped.get(target)
      return namespace === undefined ? [] : [{ index, namespace }]
    })
    for (const row of rows) {
      for (const { index, namespace } of wanted) {
        const uuid = row[index]
        if (uuid == null) continue
        const uuids = found.get(namespace) ?? new Set()
        found.set(namespace, uuids.add(uuid))
      }
    }
    return found
  }
}

/** The inverter of one table. `file` is the table as the file has it; `ids` is asked only for columns whose identifiers were mapped. */
export const createInverter = (
  table: TablePlan,
  { file, ids = { find: none } }: { readonly file?: FileTable | undefined; readonly ids?: LegacyIds } = {},
): Inverter => new TableInverter(table, file, ids)

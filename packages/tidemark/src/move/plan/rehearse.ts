/** Sends values through the copy's own encoders before anything is written, so that the plan foretells each that its column cannot take. */

import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import { CopyWriter } from '../copy/copy-writer.js'
import type { SqliteValue } from '../copy/encode.js'
import { createEncoder } from '../copy/encoders.js'
import type { ColumnPlan, Hazard, TablePlan } from '../move.js'
import { largeColumns, quoteSqlite, type Row, RowSource } from '../row-source.js'

const shownKeys = 5
const scratchBytes = 65_536

interface Findings {
  count: number
  readonly keys: string[]
  reason: string
}

const noFindings = (): Findings => ({ count: 0, keys: [], reason: '' })

const note = (findings: Findings, key: string, reason: string): void => {
  if (findings.count === 0) findings.reason = reason
  findings.count++
  if (findings.keys.length < shownKeys) findings.keys.push(key)
}

const codeOf = ({ conversion }: ColumnPlan): string => {
  if (conversion.kind === 'json' || conversion.kind === 'jsonb') return 'invalidJson'
  return conversion.kind === 'timestamp' || conversion.kind === 'timestamptz' ? 'notATime' : 'unfitValue'
}

const isUpperUuid = ({ conversion }: ColumnPlan, value: SqliteValue): boolean =>
  conversion.kind === 'uuid' && conversion.form !== 'mapped' && typeof value === 'string' && value !== value.toLowerCase()

/** NUL bytes and broken UTF-8 have hazards and policies of their own. */
const isOfText = (reason: string): boolean => /NUL byte|UTF-8/.test(reason)

/** Looks at one column, row by row. */
class Rehearsal {
  readonly column: ColumnPlan
  readonly #unfit = noFindings()
  readonly #altered = noFindings()
  readonly #writer = new CopyWriter(scratchBytes)
  readonly #encode: ReturnType<typeof createEncoder>

  constructor(column: ColumnPlan) {
    this.column = column
    this.#encode = createEncoder(column, () => undefined)
  }

  see(value: SqliteValue, exact: () => ReturnType<RowSource['exact']>, key: () => string): void {
    this.#writer.rewind(0)
    const replaced = (reason: string) => (isOfText(reason) ? undefined : note(this.#altered, key(), reason))
    const failure = this.#encode(this.#writer, value, { exact, replaced })
    if (failure !== undefined && !isOfText(failure)) note(this.#unfit, key(), failure)
    if (failure === undefined && isUpperUuid(this.column, value)) replaced('a uuid in upper case becomes lower case')
  }

  hazards(table: string): readonly Hazard[] {
    const { source: column, targetType, policies, notNull } = this.column
    const { count, keys, reason } = this.#unfit
    const isKept = policies.badValue === 'null' && !notNull
    const unfit: Hazard = {
      code: codeOf(this.column),
      severity: isKept ? 'warning' : 'loss',
      table,
      column,
      count,
      keys,
      message: `no ${targetType} (${reason}): ${isKept ? 'the value becomes NULL' : 'the row is rejected'}`,
      suggestion: 'Correct it in the file, or choose another type or what becomes of such values ("null" or "reject").',
    }
    const altered: Hazard = {
      ...unfit,
      code: 'alteredValue',
      severity: 'warning',
      count: this.#altered.count,
      keys: this.#altered.keys,
      message: this.#altered.reason,
      suggestion: 'Keep the column as text or without a zone to have it as it is.',
    }
    return [unfit, altered].filter((hazard) => hazard.count > 0)
  }
}

/** The hazards of columns whose type was chosen or given, not proven by a look at their values. */
export const rehearse = (
  database: SqliteDatabase,
  table: TablePlan,
  unproven: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): readonly Hazard[] => {
  const columns = table.columns.filter(({ source, generatedSql }) => unproven.has(source) && generatedSql === null)
  if (columns.length === 0) return []
  const rehearsals = columns.map((column) => new Rehearsal(column))
  const names = columns.map(({ source }) => quoteSqlite(source))
  const source = new RowSource(database, table, names, largeColumns(columns))
  const see = (row: Row, ordinal: number): void => {
    for (const [i, rehearsal] of rehearsals.entries()) {
      const value = row[source.keyWidth + i] as SqliteValue | null
      const key = () => source.describe(row, table.reportKey, ordinal)
      if (value !== null) rehearsal.see(value, () => source.exact(row, i), key)
    }
  }
  let rows = 0
  for (const batch of source.batches({ after: null, until: null })) {
    signal?.throwIfAborted()
    for (const row of batch) see(row, rows++)
  }
  return rehearsals.flatMap((rehearsal) => rehearsal.hazards(table.source))
}

/** Rows of Postgres in the text form that inverters read. */
import type pg from 'pg'
import { rowColumn } from '../log-key.js'
import type { ColumnPlan, TablePlan } from '../move.js'
import { quoteIdentifier } from '../translate/identifiers.js'

/** Settings of a session that reads texts for an inverter. */
export const textSettings =
  "SET extra_float_digits = 1; SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex'"

const asText = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

/** Rows at a time, by how much a row may take. */
const [mostRows, fewestRows] = [500, 10]
const bytesPerBatch = 4 * 1024 * 1024

const bytesOf = (rows: readonly (readonly (string | null)[])[]): number =>
  rows.reduce((sum, row) => sum + row.reduce((bytes, text) => bytes + (text?.length ?? 0), 0), 0)

/** The rows of a table in the caller's transaction, some at a time: each as the texts of these columns. */
export async function* targetTexts(
  client: pg.Client,
  table: Pick<TablePlan, 'targetSchema' | 'target'>,
  columns: readonly Pick<ColumnPlan, 'target'>[],
): AsyncGenerator<readonly (readonly (string | null)[])[], void, undefined> {
  const name = `${quoteIdentifier(table.targetSchema)}.${quoteIdentifier(table.target)}`
  const list = columns.map(({ target }) => quoteIdentifier(target)).join(', ') || 'NULL'
  await client.query(`DECLARE tidemark_rows NO SCROLL CURSOR FOR SELECT ${list} FROM ${name}`)
  try {
    for (let limit = fewestRows; ; ) {
      const text = `FETCH ${limit} FROM tidemark_rows`
      const { rows } = await client.query<(string | null)[]>({ text, rowMode: 'array', types: asText })
      if (rows.length > 0) yield rows
      if (rows.length < limit) return
      const bytes = Math.max(1, bytesOf(rows) / rows.length)
      limit = Math.max(fewestRows, Math.min(mostRows, Math.floor(bytesPerBatch / bytes)))
    }
  } finally {
    await client.query('CLOSE tidemark_rows').catch(() => undefined)
  }
}

/** The columns of a plan that the target has once the copy's own column is gone. */
export const lastingColumns = ({ columns }: TablePlan): readonly ColumnPlan[] =>
  columns.filter(({ target }) => target !== rowColumn)

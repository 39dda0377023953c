/** The rows of one table of Postgres, written into the new file. */
import type pg from 'pg'
import type { SqliteDatabase, SqliteTable } from '../../sqlite/sqlite.js'
import { sqliteCodeOf } from '../../sqlite/sqlite-error.js'
import { quoteSqliteName } from '../../sqlite/tokenize.js'
import { createInverter } from '../invert/create-inverter.js'
import type { IdMap } from '../invert/id-map.js'
import { lastingColumns, targetTexts } from '../invert/target-texts.js'
import type { TablePlan } from '../move.js'
import { printKey } from '../row-keys.js'
import type { ExportDifference } from './export.js'

export interface FillTableOptions {
  /** In a REPEATABLE READ transaction. */
  readonly client: pg.Client
  readonly db: SqliteDatabase
  readonly plan: TablePlan
  readonly file: SqliteTable
  readonly ids: IdMap
  readonly signal: AbortSignal
  readonly onProgress: (rows: number) => void
  readonly onDifference: (difference: ExportDifference) => void
}

export interface Filled {
  readonly rows: number
  readonly nearest: number
  readonly refused: number
}

const isRule = (error: unknown): boolean =>
  /^SQLITE_(?:CONSTRAINT|MISMATCH|TOOBIG)/.test(sqliteCodeOf(error) ?? '') ||
  (error instanceof Error && /no such collation sequence/.test(error.message))

/** Streams the rows; what the file refuses or holds only nearly is told. */
export const fillTable = async (options: FillTableOptions): Promise<Filled> => {
  const { client, db, plan, file, ids, signal, onProgress, onDifference } = options
  const ordinary = new Set(file.columns.filter(({ generated }) => generated === null).map(({ name }) => name))
  const columns = lastingColumns(plan).filter(({ source }) => ordinary.has(source))
  const inverter = createInverter(plan, { file, ids })
  const names = columns.map(({ source }) => quoteSqliteName(source)).join(', ')
  const into = columns.length > 0 ? `(${names}) VALUES (${columns.map(() => '?').join(', ')})` : 'DEFAULT VALUES'
  const insert = db.prepare(`INSERT OR ABORT INTO ${quoteSqliteName(file.name)} ${into}`)
  const keyed = plan.primaryKey.length > 0 ? plan.primaryKey : columns.slice(0, 3).map(({ target }) => target)
  const shown = columns.flatMap(({ target, source }, i) => (keyed.includes(target) ? [{ source, i }] : []))
  let [rows, nearest, refused] = [0, 0, 0]

  const write = (texts: readonly (string | null)[]): void => {
    const key = () =>
      printKey(
        shown.map(({ source }) => source),
        shown.map(({ i }) => texts[i] ?? null),
      )
    let told = false
    const values = columns.map(({ source, target }, i) =>
      inverter.value(target, texts[i] ?? null, (reason) => {
        told = true
        onDifference({ table: plan.source, key: key(), column: source, reason })
      }),
    )
    if (told) nearest += 1
    try {
      insert.run(...values)
      rows += 1
    } catch (error) {
      if (!isRule(error)) throw error
      refused += 1
      onDifference({
        table: plan.source,
        key: key(),
        column: null,
        reason: error instanceof Error ? error.message : String(error),
      })
    }
  }

  for await (const batch of targetTexts(client, plan, columns)) {
    signal.throwIfAborted()
    const wanted = inverter.mapped(columns, batch)
    if (wanted.size > 0) await ids.learn(wanted)
    for (const texts of batch) write(texts)
    onProgress(batch.length)
  }
  return { rows, nearest, refused }
}

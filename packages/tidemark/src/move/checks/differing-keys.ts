/** Compares one table as a whole and gives the keys of the rows that are not alike, for whoever wants to make them so. */
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import { TidemarkError } from '../../errors.js'
import type { TablePlan } from '../move.js'
import { qualifiedName, quoteIdentifier } from '../translate/translate.js'
import { canonicalParameter, fromCanonicalSql } from '../verify/target-canonical.js'
import type { DifferingKey } from './checks.js'
import { linkOf } from './link.js'
import { openComparer, type TableComparerOptions } from './table-comparer.js'
import { TableWalk, type WalkCursor } from './walk-table.js'

export interface DifferingKeysOptions extends TableComparerOptions {
  readonly database: Database
  readonly client: pg.Client
  readonly signal?: AbortSignal
}

/** True where a row of the file and its row in Postgres can find each other, so that keys tell what differs. */
export const canTellApart = (table: TablePlan): boolean => linkOf(table) !== null

/** How Postgres is to write what it reads, for everything that compares by canonical texts. */
export const comparisonSettings =
  "SET statement_timeout = 0; SET extra_float_digits = 1; SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex'"

/**
 * The keys of all rows that differ, some at a time, as either side was when it was read: a row that is changed meanwhile may be among them.
 * The session of `client` gets {@link comparisonSettings}. Raises TM_MOVE_NOT_ALLOWED where {@link canTellApart} says no.
 */
export async function* differingKeys(options: DifferingKeysOptions): AsyncGenerator<readonly DifferingKey[]> {
  const comparer = openComparer(options)
  if (!comparer) {
    const reason = `The rows of ${options.table.source} cannot be told apart, so none can be named.`
    throw new TidemarkError('TM_MOVE_NOT_ALLOWED', { reason, fix: 'Copy the table anew.' })
  }
  await options.client.query(comparisonSettings)
  const walk = new TableWalk(comparer)
  for (let cursor: WalkCursor | null = walk.start; cursor !== null; ) {
    options.signal?.throwIfAborted()
    const step = await walk.step(cursor)
    const differing = step.suspects.length > 0 ? await comparer.compare(step.suspects) : []
    if (differing.length > 0) {
      yield differing.map(({ state, key, texts, printed }) => ({ state, key, targetKey: texts ?? null, printed }))
    }
    ;({ cursor } = step)
  }
}

/** Removes rows of Postgres by the keys that {@link differingKeys} gave; in the caller's transaction. Answers how many there were. */
export const removeByKeys = async (client: pg.Client, table: TablePlan, keys: readonly DifferingKey[]): Promise<number> => {
  const columns = linkOf(table)?.columns ?? []
  const found = keys.flatMap(({ targetKey }) => (targetKey ? [targetKey] : []))
  if (columns.length === 0 || found.length === 0) return 0
  const names = columns.map((_column, i) => `x${i}`)
  const matches = columns.map((column, i) => `t.${quoteIdentifier(column.target)} = ${fromCanonicalSql(column, `k.x${i}`)}`)
  const arrays = names.map((_name, i) => `$${i + 1}::text[]`).join(', ')
  const { rowCount } = await client.query(
    `DELETE FROM ${qualifiedName({ schema: table.targetSchema, name: table.target })} AS t
      USING unnest(${arrays}) AS k(${names.join(', ')}) WHERE ${matches.join(' AND ')}`,
    columns.map((column, i) => found.map((key) => canonicalParameter(column, key[i]!))),
  )
  return rowCount ?? 0
}

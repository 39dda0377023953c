import type { BatchStatement, Pool } from '../../postgres/postgres.js'
import type { RestResult } from '../answer/answer.js'
import type { RelationName } from '../catalogue.js'
import type { Statement } from './statement.js'
import type { StatementNames } from './statement-names.js'
import { isolationOf, preRequestText, type TransactionContext, transactionSettings } from './transaction-settings.js'

export interface RunOptions {
  readonly pool: Pick<Pool, 'batch'>
  readonly names: StatementNames
  readonly context: TransactionContext
  /** Called before the statement, in its transaction. */
  readonly preRequest: RelationName | undefined
  /** The caller asks that nothing stays. */
  readonly rollback: boolean
  readonly signal: AbortSignal | undefined
}

/** A constraint that waits for the end would never be asked. */
const checkDeferred: BatchStatement = { text: 'set constraints all immediate', values: [], name: 'rest check deferred' }

const before = ({ preRequest }: RunOptions): readonly BatchStatement[] =>
  preRequest ? [{ text: preRequestText(preRequest), values: [], name: 'rest before' }] : []

/** Runs a request's statement as its caller, in one transaction and one round trip. */
export const runStatement = async (statement: Statement, options: RunOptions): Promise<RestResult> => {
  const { pool, names, context, rollback, signal } = options
  const scope = `${context.caller.role}\0${context.schema}`
  const own = statement.texts.map(({ text, values }): BatchStatement => {
    const name = names.nameOf(text, scope)
    return { text, values, ...(name !== undefined && { name }) }
  })
  const first = before(options)
  const isolation = isolationOf(context)
  const undone = rollback && !statement.readOnly
  try {
    const results = await pool.batch([...first, ...own, ...(undone ? [checkDeferred] : [])], {
      readOnly: statement.readOnly,
      settings: transactionSettings(context),
      end: undone ? 'rollback' : 'commit',
      ...(isolation && { isolation }),
      ...(signal && { signal }),
    })
    return statement.result(results.slice(first.length, first.length + own.length))
  } catch (error) {
    throw statement.refusal(error)
  }
}

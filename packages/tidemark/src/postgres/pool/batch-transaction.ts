import { TidemarkError } from '../../errors.js'
import type { BatchOptions, Setting } from '../postgres.js'
import type { BatchResult, BatchStatement } from './batch.js'
import type { Lease } from './lease.js'
import { isLostName, type KeptNames } from './prepared-names.js'
import { beginBatch, endStatement } from './transaction.js'

/** Postgres answers COMMIT with ROLLBACK where a statement failed before and the error was caught. */
export const checkCommit = (tag: string | undefined): void => {
  if (tag === 'COMMIT') return
  const reason = 'the transaction was rolled back, since one of its statements had failed'
  throw new TidemarkError('TM_POSTGRES_QUERY', { sqlstate: '25P02', reason })
}

/** What the transactions of one pool have in common. */
export class BatchRunner {
  /** Made in every transaction. */
  readonly #settings: readonly Setting[]
  readonly #names: KeptNames

  constructor(settings: readonly Setting[], names: KeptNames) {
    this.#settings = settings
    this.#names = names
  }

  /** Runs the statements as one transaction. The caller rolls back what failed. */
  async run(lease: Lease, statements: readonly BatchStatement[], options: BatchOptions): Promise<readonly BatchResult[]> {
    const named = this.#names.areKept
    try {
      return await this.#transact(lease, statements, options, named)
    } catch (error) {
      if (!named || !isLostName(error)) throw error
      // A pooler that does not show in the connection string. Nothing of the transaction stays, so it can be run again.
      this.#names.areKept = false
      await lease.rollback()
      return this.#transact(lease, statements, options, false)
    }
  }

  async #transact(
    lease: Lease,
    statements: readonly BatchStatement[],
    options: BatchOptions,
    named: boolean,
  ): Promise<readonly BatchResult[]> {
    const { end = 'commit', settings = [] } = options
    const opening = beginBatch({ ...options, settings: [...this.#settings, ...settings] })
    const all = [...opening, ...statements, endStatement(end)]
    const text = statements.map((statement) => statement.text).join('; ')
    const results = await lease.batch(named ? all : all.map(({ text, values }) => ({ text, values })), text)
    if (end === 'commit') checkCommit(results.at(-1)?.tag)
    return results.slice(opening.length, -1)
  }
}

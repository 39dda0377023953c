import { isTidemarkError, TidemarkError } from '../../../errors.js'
import type { Client, QueryOptions, QueryResult } from '../../../postgres/postgres.js'

/**
 * The transaction as one event's handlers see it. Where it is shared with other events, what they do stands behind a savepoint of its
 * own, made only where they do something, so that an event which fails takes nothing of the others along.
 */
export class HandlerClient implements Client {
  readonly #client: Client
  readonly #signal: AbortSignal
  readonly #isShared: boolean
  #wasUsed = false
  #isOver = false
  #savepoint: Promise<unknown> | undefined
  #pending = new Set<Promise<unknown>>()
  #lost: TidemarkError | undefined

  constructor(client: Client, signal: AbortSignal, isShared: boolean) {
    this.#client = client
    this.#isShared = isShared
    this.#signal = signal
  }

  /** Not here: what goes past this class would go past the savepoint. */
  readonly raw = undefined
  readonly queryBehind = undefined

  /** Why the connection is gone; the event is not to blame for it. */
  get lost(): TidemarkError | undefined {
    return this.#lost
  }

  get wasUsed(): boolean {
    return this.#wasUsed
  }

  async query<R = Record<string, unknown>>(
    text: string,
    values: readonly unknown[] = [],
    options: QueryOptions = {},
  ): Promise<QueryResult<R>> {
    if (this.#isOver) {
      const reason = 'a handler used its transaction after it had ended: await every query'
      throw new TidemarkError('TM_INTERNAL', { reason })
    }
    const work = this.#query<R>(text, values, options)
    this.#pending.add(work)
    return work.finally(() => this.#pending.delete(work))
  }

  async #query<R>(text: string, values: readonly unknown[], options: QueryOptions): Promise<QueryResult<R>> {
    try {
      this.#wasUsed = true
      if (this.#isShared) this.#savepoint ??= this.#client.query('savepoint event')
      await this.#savepoint
      return await this.#client.query<R>(text, values, { signal: this.#signal, ...options })
    } catch (error) {
      if (isTidemarkError(error, 'TM_POSTGRES_UNREACHABLE')) this.#lost = error
      throw error
    }
  }

  /** What was done counts as far as the transaction does. Raises, here or at its end, where a statement had failed, whoever caught that. */
  async keep(): Promise<void> {
    await this.#end()
    if (this.#savepoint) await this.#client.query('release savepoint event')
  }

  /** Takes back what was done. False where that takes the whole transaction. */
  async undo(): Promise<boolean> {
    await this.#end()
    if (this.#savepoint) await this.#client.query('rollback to savepoint event')
    return !this.#wasUsed || this.#isShared
  }

  async #end(): Promise<void> {
    this.#isOver = true
    await Promise.allSettled([...this.#pending])
  }
}

import { reasonOf, TidemarkError, toTidemarkError } from '../../../errors.js'
import { type Logger, silentLogger } from '../../../observability/observability.js'
import { exponential } from '../../../resilience/backoff.js'
import { type Clock, systemClock } from '../../../time/clock.js'
import { type FeedEvent, type FeedReset, type SourceLag, tableName } from '../../feed.js'
import type { Position } from '../../position.js'
import type { TableId } from '../../table-id.js'
import { outboxTables } from './install-outbox.js'
import type { OutboxPool, OutboxSource, OutboxSourceOptions } from './outbox.js'
import { createOutboxChanges, type OutboxChanges } from './outbox-changes.js'
import { OutboxConfirmer } from './outbox-confirmer.js'
import { createOutboxHint, type OutboxHint } from './outbox-hint.js'
import { OutboxLease } from './outbox-lease.js'
import { type OutboxPieces, piecesOf } from './outbox-pieces.js'
import { OutboxReader, type OutboxTransaction, type ReaderState, type Tick } from './outbox-reader.js'

/** Transactions that are listed at once. */
const listed = 5_000

interface Settings extends OutboxPieces {
  readonly pool: OutboxPool
  readonly name: string
  readonly tables: readonly TableId[] | 'installed'
  readonly pollMs: number
  readonly leaseMs: number
  readonly clock: Clock
  readonly log: Logger
}

class TriggeredSource implements OutboxSource {
  readonly kind = 'outbox'
  readonly guarantee = 'exact'
  readonly #settings: Settings
  readonly #reader: OutboxReader
  readonly #lease: OutboxLease
  readonly #confirmer: OutboxConfirmer
  readonly #hint: OutboxHint
  readonly #stopping = new AbortController()
  #changes: OutboxChanges | undefined
  /** That are followed: their oids, and names as `schema.table`. */
  #tables: ReadonlyMap<number, string> = new Map()
  #reading: Promise<void> = Promise.resolve()
  #epoch: string | undefined
  /** The last number that was given, and the largest that was ever given out. */
  #given = 0n

  constructor(settings: Settings, listen: OutboxSourceOptions['listen']) {
    this.#settings = settings
    this.#reader = new OutboxReader(settings.pool, settings.name)
    this.#lease = new OutboxLease(this.#reader, settings.leaseMs, settings.clock, settings.log)
    this.#confirmer = new OutboxConfirmer(this.#reader, settings.clock, settings.log)
    this.#hint = createOutboxHint(listen, settings.clock, settings.log)
  }

  async open(signal?: AbortSignal): Promise<Position> {
    signal?.throwIfAborted()
    await this.#reader.register()
    await this.#prepare()
    const { epoch, confirmed } = await this.#reader.state(this.#tables)
    return { epoch, number: confirmed }
  }

  async *events(signal: AbortSignal, from?: Position): AsyncGenerator<FeedEvent> {
    const both = AbortSignal.any([signal, this.#stopping.signal])
    await this.#reading
    let ended = (): void => {}
    this.#reading = new Promise((resolve) => {
      ended = resolve
    })
    try {
      yield* this.#untilAborted(both, from)
    } catch (error) {
      if (!both.aborted) throw error
    } finally {
      ended()
    }
  }

  /** Loses the connection or the lease, and goes on with what comes next. */
  async *#untilAborted(signal: AbortSignal, from: Position | undefined): AsyncGenerator<FeedEvent> {
    const { clock, log } = this.#settings
    let failures = 0
    let begun = false
    while (!signal.aborted) {
      try {
        await this.#reader.register()
        await this.#lease.take(signal)
        await this.#prepare()
        const state = await this.#reader.state(this.#tables)
        const reset = begun ? this.#resetAfterLoss(state) : this.#firstReset(state, from)
        begun = true
        if (reset) yield reset
        for await (const event of this.#read(state, signal)) {
          failures = 0
          yield event
        }
      } catch (error) {
        signal.throwIfAborted()
        if (!toTidemarkError(error).retryable) throw error
        failures += 1
        const delayMs = exponential(failures, { baseMs: 50, maxMs: 5_000 })
        log.warn('the outbox cannot be read; it is tried again', { reason: reasonOf(error), delayMs })
        await clock.sleep(delayMs, signal)
      }
    }
  }

  async #prepare(): Promise<void> {
    if (this.#changes) return
    const { pool, tables } = this.#settings
    const client = { query: async <R extends object>(text: string, values: unknown[] = []) => pool.query<R>(text, values) }
    const installed = await outboxTables(client)
    const wanted = tables === 'installed' ? installed : tables
    const missing = wanted.filter((one) => !installed.some((other) => tableName(other) === tableName(one)))
    if (missing.length > 0) throw new TidemarkError('TM_FEED_OUTBOX_MISSING', { missing: missing.map(tableName).join(', ') })
    const names = new Set(wanted.map(tableName))
    this.#tables = new Map(installed.map((one) => [one.oid, tableName(one)] as const).filter(([, name]) => names.has(name)))
    this.#changes = createOutboxChanges(this.#reader, tables, new Set(this.#tables.keys()))
  }

  #firstReset({ epoch, confirmed, newHistory }: ReaderState, from: Position | undefined): FeedReset | undefined {
    this.#epoch = epoch
    const resumes = from?.epoch === epoch
    this.#given = resumes && from.number > confirmed ? from.number : confirmed
    if (resumes) return undefined
    const reason = newHistory || from !== undefined ? 'newHistory' : 'start'
    return { type: 'reset', epoch, reason, position: { epoch, number: confirmed } }
  }

  #resetAfterLoss({ epoch, confirmed }: ReaderState): FeedReset | undefined {
    const sameEpoch = epoch === this.#epoch
    this.#epoch = epoch
    // Whoever held the lease meanwhile has confirmed what we never gave.
    if (sameEpoch && confirmed <= this.#given) return undefined
    this.#given = confirmed
    return { type: 'reset', epoch, reason: sameEpoch ? 'gap' : 'newHistory', position: { epoch, number: confirmed } }
  }

  /** Ends where the lease was lost, or tables. */
  async *#read(state: ReaderState, signal: AbortSignal): AsyncGenerator<FeedEvent> {
    const { pollMs, clock, tables } = this.#settings
    for (const tick of state.ticks) yield* this.#give(tick, signal)
    let last = state.ticks.at(-1)?.last ?? state.confirmed
    let from = state.snapshot
    while (this.#lease.held) {
      signal.throwIfAborted()
      const asOf = clock.monotonicMs()
      const { snapshot, transactions, lost } = await this.#reader.since(from, listed, this.#tables, tables !== 'installed')
      if (lost.length > 0) return this.#lose(lost)
      const count = transactions[0]?.remaining ?? 0
      if (count > 0) {
        const tick: Tick = { from, snapshot, first: last + 1n, last: last + BigInt(count) }
        if (!(await this.#reader.begin(tick))) return
        yield* this.#give(tick, signal, transactions)
        last = tick.last
      }
      from = snapshot
      yield { type: 'fresh', position: { epoch: state.epoch, number: last }, asOf }
      await this.#hint.wait(pollMs, signal)
    }
  }

  /** A table that was dropped, renamed or replaced falls silent without a word: what was given up to here is not all that happened. */
  async #lose(tables: readonly string[]): Promise<void> {
    this.#settings.log.warn('tables that are followed are not caught any more; the outbox begins anew', {
      tables: tables.join(', '),
    })
    await this.#reader.breakOff()
    this.#changes = undefined
  }

  async *#give(tick: Tick, signal: AbortSignal, known?: readonly OutboxTransaction[]): AsyncGenerator<FeedEvent> {
    const epoch = this.#epoch ?? ''
    const changes = this.#changes
    if (tick.last <= this.#given || !changes) return
    let number = tick.first
    let after = '0'
    while (number <= tick.last) {
      const transactions = known && number === tick.first ? known : await this.#reader.of(tick, after, listed)
      const wanted = transactions.map((transaction, index) => ({ ...transaction, number: number + BigInt(index) }))
      number += BigInt(wanted.length)
      after = wanted.at(-1)?.top ?? after
      if (wanted.length === 0) {
        throw new TidemarkError('TM_FEED_NOT_KEPT', {
          position: `${epoch}:${number.toString(16)}`,
          reason: 'rows of the outbox were deleted by somebody else',
        })
      }
      const due = wanted.filter((transaction) => transaction.number > this.#given)
      for await (const piece of piecesOf(due, this.#reader, changes, epoch, this.#settings)) {
        signal.throwIfAborted()
        if (!this.#lease.held) throw new TidemarkError('TM_FEED_FENCED', { stream: this.#settings.name })
        // A transaction counts as given with its last piece: only then its position can be confirmed.
        if (piece.last) this.#given = piece.position.number
        yield piece
      }
      this.#given = wanted.at(-1)!.number > this.#given ? wanted.at(-1)!.number : this.#given
    }
  }

  confirm(position: Position): void {
    const { epoch, number } = position
    if (epoch === this.#epoch) this.#confirmer.add({ epoch, number: number < this.#given ? number : this.#given })
  }

  async lag(): Promise<SourceLag> {
    const { epoch, confirmed, rows, transactions } = await this.#reader.lag()
    return {
      head: { epoch, number: confirmed + BigInt(transactions) },
      confirmed: { epoch, number: confirmed },
      behind: rows,
      headroomBytes: null,
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new TidemarkError('TM_FEED_STOPPED', {}))
    await this.#hint.stop()
    await this.#reading
    await this.#confirmer.stop()
    await this.#lease.stop()
  }
}

/** Reads the outbox that {@link installOutbox} fills. */
export const createOutboxSource = (options: OutboxSourceOptions): OutboxSource => {
  const { pool, name, tables, listen, leaseMs = 2_000, maxPieceChanges = 2_000, maxPieceBytes = 1024 ** 2 } = options
  const { clock = systemClock, log = silentLogger, pollMs = listen ? 500 : 100 } = options
  return new TriggeredSource({ pool, name, tables, pollMs, leaseMs, maxPieceChanges, maxPieceBytes, clock, log }, listen)
}

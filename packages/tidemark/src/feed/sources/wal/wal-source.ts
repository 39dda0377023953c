import { reasonOf, TidemarkError } from '../../../errors.js'
import { connectPostgres } from '../../../postgres/driver/connect.js'
import { fullJitter } from '../../../resilience/backoff.js'
import type { FeedEvent, FeedReset, Source, SourceLag } from '../../feed.js'
import { type Position, parseLsn } from '../../position.js'
import { readSlot, type Slot } from '../../slots.js'
import { Confirmations } from './confirmations.js'
import type { Claim } from './slot-claim.js'
import type { Partial } from './transaction-reader.js'
import { resetReason } from './wal-epoch.js'
import { isDeadEnd, isPassing, toFeedError, wasTerminated } from './wal-error.js'
import { type Opened, openWal, wantedTables } from './wal-open.js'
import { type ResolvedWalOptions, resolveWalOptions, type WalSourceOptions } from './wal-options.js'
import { WalSession } from './wal-session.js'

export type { WalSourceOptions } from './wal-options.js'

export interface WalSource extends Source {
  /**
   * Makes the publication and the slot where they are missing, and connects. Gives the position from which the feed goes on: every
   * transaction after it will be given. `events` does the same by itself.
   */
  open(): Promise<Position>
}

/** How far a reader of one epoch has come; it outlives connections. */
interface Progress {
  readonly epoch: string
  readonly confirmations: Confirmations
  /** Every commit before it was given. */
  lsn: bigint
  partial: Partial | undefined
  /** Number of the last position that was given, or that the consumer brought along. */
  outstanding: bigint
}

/** What a consumer has: everything before the LSN. */
interface Held {
  readonly epoch: string
  readonly lsn: bigint
}

const later = (a: bigint, b: bigint): bigint => (a > b ? a : b)

const reconnect = { baseMs: 50, maxMs: 5_000 }
/** Whoever ended our connection to have the slot gets the time to take it. */
const yieldMs = 1_000
const longestSilenceMs = 60_000
const protocolAttempts = 3

class Wal implements WalSource {
  readonly kind = 'wal'
  readonly guarantee = 'exact'
  readonly #options: ResolvedWalOptions
  readonly #stopped = new AbortController()
  /** Opened ahead, nothing read yet. */
  #ready: Opened | undefined
  #progress: Progress | undefined
  #session: WalSession | undefined
  #connecting: Promise<unknown> = Promise.resolve()
  #claim: Claim | undefined
  #ownPid: number | undefined
  #remake = false
  /** How often in a row the stream could not be understood. */
  #garbled = 0
  #reading = false

  constructor(options: ResolvedWalOptions) {
    this.#options = options
  }

  async open(): Promise<Position> {
    this.#ready ??= await this.#open(undefined, this.#stopped.signal)
    const { claim } = this.#ready
    return { epoch: claim.epoch, number: this.#firstLsn(claim) - 1n }
  }

  async *events(signal: AbortSignal, from?: Position): AsyncGenerator<FeedEvent, void, undefined> {
    if (this.#reading) throw new TidemarkError('TM_INTERNAL', { reason: 'the feed has one consumer, and a second one came' })
    this.#reading = true
    this.#progress = undefined
    const either = AbortSignal.any([signal, this.#stopped.signal])
    const wake = () => this.#session?.wake()
    either.addEventListener('abort', wake, { once: true })
    try {
      yield* this.#events(either, from)
    } finally {
      either.removeEventListener('abort', wake)
      this.#reading = false
    }
  }

  confirm({ epoch, number }: Position): void {
    const progress = this.#progress
    if (progress === undefined || progress.epoch !== epoch) return
    // Of a transaction that is given in pieces, the rest must come again after a restart.
    const passed = this.#session?.passedLsn ?? progress.lsn
    progress.confirmations.add(number + 1n < passed ? number + 1n : passed)
  }

  async lag(): Promise<SourceLag> {
    const client = await connectPostgres({ ...this.#options.target, name: 'feed lag' })
    try {
      const slot = this.#claim && (await readSlot(client, this.#claim.slot))
      const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_flush_lsn() as lsn')
      return this.#lagOf(parseLsn(rows[0]!.lsn), slot)
    } finally {
      await client.end()
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new TidemarkError('TM_INTERNAL', { reason: 'the feed was stopped' }))
    await this.#connecting.catch(() => undefined)
    const ready = this.#ready
    this.#ready = undefined
    await Promise.all([ready?.connection.close(), ready?.primary.close(), this.#session?.close()])
  }

  #lagOf(head: bigint, slot: Slot | undefined): SourceLag {
    const at = (lsn: bigint | null | undefined): Position | null =>
      this.#claim === undefined || lsn == null ? null : { epoch: this.#claim.epoch, number: lsn - 1n }
    return {
      head: at(head),
      confirmed: at(slot?.confirmedLsn),
      behind: slot?.behindBytes ?? 0,
      headroomBytes: slot?.headroomBytes ?? null,
    }
  }

  async #open(known: Held | undefined, signal: AbortSignal): Promise<Opened> {
    const opened = await openWal(this.#options, { known, remake: this.#remake, ownPid: this.#ownPid, signal })
    this.#remake = false
    this.#claim = opened.claim
    this.#ownPid = opened.connection.pid
    return opened
  }

  #firstLsn({ confirmedLsn, flushLsn }: Claim): bigint {
    return this.#options.start === 'now' && flushLsn > confirmedLsn ? flushLsn : confirmedLsn
  }

  async *#events(signal: AbortSignal, from: Position | undefined): AsyncGenerator<FeedEvent, void, undefined> {
    // Nothing is given again that the consumer has, and it is told when that is void.
    let held: Held | undefined = from && { epoch: from.epoch, lsn: from.number + 1n }
    let failures = 0
    while (!signal.aborted) {
      let failure: unknown
      try {
        const reset = await this.#connect(held, signal)
        const progress = this.#progress!
        held = progress
        if (reset) yield reset
        while (!signal.aborted) {
          const event = this.#session!.next()
          if (event === undefined) {
            await this.#session!.more(signal)
            continue
          }
          failures = 0
          if (event.type === 'transaction') {
            progress.outstanding = event.position.number
            this.#garbled = 0
          }
          yield event
        }
      } catch (error) {
        failure = error
      } finally {
        await this.#disconnect()
      }
      if (signal.aborted) return
      failures += 1
      await this.#recover(failure, failures, signal)
    }
  }

  async #disconnect(): Promise<void> {
    const session = this.#session
    if (session === undefined) return
    await session.close()
    const progress = this.#progress!
    progress.lsn = session.passedLsn
    progress.partial = session.partial
    this.#session = undefined
  }

  /** Decides whether to try again, and waits; else raises. */
  async #recover(failure: unknown, failures: number, signal: AbortSignal): Promise<void> {
    const { target, slot, clock, log, random } = this.#options
    const error = toFeedError(failure, { target, slot: this.#claim?.slot ?? slot.name })
    if (isDeadEnd(failure)) this.#remake = true
    if (error.code === 'TM_FEED_PROTOCOL') this.#garbled += 1
    const again = isPassing(error) || (error.code === 'TM_FEED_PROTOCOL' && this.#garbled < protocolAttempts)
    if (!again) throw error
    const delayMs = Math.max(fullJitter(failures, { ...reconnect, random }), wasTerminated(failure) ? yieldMs : 0)
    log.warn('the feed lost its connection and tries again', {
      slot: slot.name,
      reason: reasonOf(error),
      delayMs: Math.round(delayMs),
    })
    await clock.sleep(delayMs, signal).catch(() => undefined)
  }

  /** Begins a session; gives the reset that the consumer has to hear first, if any. */
  async #connect(held: Held | undefined, signal: AbortSignal): Promise<FeedReset | undefined> {
    const starting = this.#opened(held, signal).then(async (opened) => {
      const { claim } = opened
      const goesOn = held?.epoch === claim.epoch
      const startLsn = goesOn ? later(held.lsn, claim.confirmedLsn) : this.#firstLsn(claim)
      this.#progress = this.#progressOf(claim, startLsn, goesOn)
      this.#session = this.#sessionOf(opened, startLsn, this.#progress)
      await this.#session.start()
      if (goesOn) return undefined
      const reason = resetReason(held?.epoch ?? claim.replaced, claim.epoch)
      return { type: 'reset', epoch: claim.epoch, reason, position: { epoch: claim.epoch, number: startLsn - 1n } } as const
    })
    this.#connecting = starting
    return starting
  }

  /** What was opened ahead, unless the consumer turns out to be further than that server ever was. */
  async #opened(held: Held | undefined, signal: AbortSignal): Promise<Opened> {
    const ready = this.#ready
    this.#ready = undefined
    if (ready === undefined) return this.#open(held, signal)
    if (held?.epoch !== ready.claim.epoch || held.lsn <= ready.claim.flushLsn) return ready
    await Promise.all([ready.connection.close(), ready.primary.close()])
    return this.#open(held, signal)
  }

  #progressOf({ epoch, confirmedLsn }: Claim, lsn: bigint, goesOn: boolean): Progress {
    const before = this.#progress
    const { replayWindowMs, clock } = this.#options
    if (goesOn && before?.epoch === epoch) return { ...before, lsn, partial: before.lsn === lsn ? before.partial : undefined }
    // What the consumer brought along it holds, which is not to say that nobody else needs it.
    const outstanding = goesOn ? lsn - 1n : confirmedLsn - 1n
    return { epoch, confirmations: new Confirmations(confirmedLsn, replayWindowMs, clock), lsn, partial: undefined, outstanding }
  }

  #sessionOf({ primary, connection, claim }: Opened, startLsn: bigint, progress: Progress): WalSession {
    const { publication, beatMs, walSenderTimeoutMs, maxQueuedBytes, maxPieceBytes, clock } = this.#options
    return new WalSession({
      primary,
      connection,
      claim,
      publication,
      wanted: () => wantedTables(primary, this.#options),
      startLsn,
      partial: progress.partial,
      confirmations: progress.confirmations,
      outstanding: () => progress.outstanding,
      beatMs,
      statusMs: Math.max(10, Math.min(beatMs, walSenderTimeoutMs / 3)),
      silenceMs: longestSilenceMs,
      maxQueuedBytes,
      maxPieceBytes,
      clock,
    })
  }
}

/**
 * Reads the write-ahead log through a logical slot, which is the lease: one process reads it. Ends by TM_FEED_SLOT_BUSY where another has taken
 * it over. `events` without a position begins at what Postgres knows as confirmed, which is a replay window back.
 */
export const createWalSource = (options: WalSourceOptions): WalSource => new Wal(resolveWalOptions(options))

import type { Clock } from '../../../time/clock.js'
import { unlockSlot } from '../../slot-lock.js'
import type { Confirmations } from './confirmations.js'
import { FrameQueue } from './frame-queue.js'
import type { Primary } from './primary.js'
import { type Wanted, watchPublication } from './publication-watch.js'
import type { ReplicationConnection } from './replication-connection.js'
import type { Claim } from './slot-claim.js'
import { type Partial, type Step, TransactionReader } from './transaction-reader.js'

export interface WalSessionOptions {
  readonly primary: Primary
  readonly connection: ReplicationConnection
  readonly claim: Claim
  readonly publication: string
  readonly wanted: () => Promise<Wanted>
  readonly startLsn: bigint
  readonly partial: Partial | undefined
  readonly confirmations: Confirmations
  /** The number of the last position that waits for its confirmation. */
  readonly outstanding: () => bigint
  readonly beatMs: number
  readonly statusMs: number
  /** With no word from the server for so long, although it was asked, the connection counts as lost. */
  readonly silenceMs: number
  readonly maxQueuedBytes: number
  readonly maxPieceBytes: number
  readonly clock: Clock
}

const keepalive = 'k'.charCodeAt(0)
const [firstPauseMs, longestPauseMs] = [1, 50]

/** One connection's life: frames come in and are turned into events as the consumer asks; the server is told how far we are. */
export class WalSession {
  readonly #options: WalSessionOptions
  readonly #queue: FrameQueue
  readonly #reader: TransactionReader
  readonly #ended = new AbortController()
  readonly #watch: () => Promise<void>
  #receivedLsn: bigint
  #heardAt: number
  #unseen = 0

  constructor(options: WalSessionOptions) {
    const { primary, publication, connection, claim, startLsn, partial, maxQueuedBytes, maxPieceBytes, clock } = options
    this.#options = options
    this.#queue = new FrameQueue({ maxBytes: maxQueuedBytes, pause: () => connection.pause(), resume: () => connection.resume() })
    this.#reader = new TransactionReader({ epoch: claim.epoch, queue: this.#queue, maxPieceBytes, startLsn, partial })
    this.#watch = watchPublication(primary, { publication, slot: claim.slot, begun: claim.publication, wanted: options.wanted })
    this.#receivedLsn = startLsn
    this.#heardAt = clock.monotonicMs()
  }

  get passedLsn(): bigint {
    return this.#reader.passedLsn
  }

  get partial(): Partial | undefined {
    return this.#reader.partial
  }

  async start(): Promise<void> {
    const { primary, connection, claim, publication, startLsn } = this.#options
    const ended = (error: unknown) => this.#fail(error)
    await connection.start(claim.slot, publication, startLsn, { frame: (frame) => this.#take(frame), ended })
    await unlockSlot(primary.client, claim.slot)
    // A server that shuts down ends ordinary sessions first and then waits until readers have confirmed everything, which behind a replay
    // window or a slow consumer would take long: so both connections go together.
    primary.onLost(ended)
    void this.#report()
    void this.#prove()
  }

  /** What comes next, or `undefined` where it is not there yet. */
  next(): Exclude<Step, 'empty' | 'unseen'> | undefined {
    const step = this.#reader.read()
    if (step === 'empty') return undefined
    if (step === 'unseen') {
      this.#unseen += 1
      return undefined
    }
    this.#unseen = 0
    return step
  }

  /** Resolves when {@link next} may have something. Raises what ended the connection. */
  async more(signal: AbortSignal): Promise<void> {
    if (this.#unseen === 0) return this.#queue.more()
    const { primary, clock } = this.#options
    // The log says that it is committed; readers see it a moment later, or much later where a standby has to answer first.
    if (this.#unseen > 1) await clock.sleep(Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(this.#unseen - 2, 10)), signal)
    this.#reader.see(await primary.snapshot())
  }

  /** Lets {@link more} resolve. */
  wake(): void {
    this.#queue.wake()
  }

  async close(): Promise<void> {
    if (!this.#ended.signal.aborted) this.#tell(false)
    this.#ended.abort()
    await Promise.all([this.#options.connection.close(), this.#options.primary.close()])
  }

  #take(frame: Buffer): void {
    this.#heardAt = this.#options.clock.monotonicMs()
    const lsn = frame.length >= 9 ? frame.readBigUInt64BE(1) : 0n
    if (lsn > this.#receivedLsn) this.#receivedLsn = lsn
    this.#queue.push(frame)
    if (frame[0] === keepalive && frame[17] === 1) this.#tell(false)
  }

  #fail(error: unknown): void {
    if (this.#ended.signal.aborted) return
    this.#ended.abort()
    this.#queue.fail(error)
    void this.#options.connection.close()
    void this.#options.primary.close()
  }

  #tell(ask: boolean): void {
    const { confirmations, outstanding, connection } = this.#options
    // Nothing that was given waits for anybody: what passes without being ours keeps no WAL from being removed.
    if (this.#reader.partial === undefined && confirmations.latest > outstanding()) confirmations.add(this.#reader.passedLsn)
    connection.sendStatus(this.#receivedLsn, confirmations.releasable, ask)
  }

  async #report(): Promise<void> {
    const { clock, statusMs, silenceMs } = this.#options
    const { signal } = this.#ended
    while (await slept(clock, statusMs, signal)) {
      const silent = clock.monotonicMs() - this.#heardAt
      // While the socket is paused, we are the ones who do not listen.
      if (this.#queue.paused) this.#heardAt = clock.monotonicMs()
      else if (silent > silenceMs) return this.#fail(new Error('Connection terminated: the server is silent'))
      this.#tell(silent > silenceMs / 3)
    }
  }

  /** Takes samples, and sees to it that the server says soon how far it is. */
  async #prove(): Promise<void> {
    const { primary, clock, beatMs } = this.#options
    const { signal } = this.#ended
    do {
      const startedAt = clock.monotonicMs()
      try {
        const sample = await primary.sample()
        // Only what was published until then can be proven.
        await this.#watch()
        this.#reader.ask(sample)
        this.#queue.wake()
        for (let pauseMs = 2; this.#receivedLsn < sample.lsn && clock.monotonicMs() - startedAt < beatMs / 2; pauseMs *= 2) {
          this.#tell(true)
          if (!(await slept(clock, pauseMs, signal))) return
        }
      } catch (error) {
        return this.#fail(error)
      }
      const restMs = beatMs - (clock.monotonicMs() - startedAt)
      if (!(await slept(clock, Math.max(1, restMs), signal))) return
    } while (!signal.aborted)
  }
}

const slept = (clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> =>
  clock.sleep(ms, signal).then(
    () => !signal.aborted,
    () => false,
  )

import { TidemarkError } from '../../../errors.js'
import type { Change, FreshnessProof, TransactionPiece } from '../../feed.js'
import type { FrameQueue } from './frame-queue.js'
import { type Begin, PgoutputDecoder } from './pgoutput.js'
import { isVisible, type Snapshot, widenXid } from './snapshot.js'

/** A moment, and the LSN before which every commit lies that was visible then. */
export interface Sample {
  readonly asOf: number
  readonly lsn: bigint
}

/** `empty`: more frames are needed. `unseen`: a later snapshot is needed, the next transaction is not visible in this one. */
export type Step = TransactionPiece | FreshnessProof | 'empty' | 'unseen'

/** How far a transaction was given whose rest is still to come. */
export interface Partial {
  readonly lsn: bigint
  readonly nextOrdinal: number
}

export interface TransactionReaderOptions {
  readonly epoch: string
  readonly queue: Pick<FrameQueue, 'peek' | 'shift'>
  readonly maxPieceBytes: number
  /** Commits before this were given already. */
  readonly startLsn: bigint
  /** Of the transaction with this commit the first changes were given before the connection was lost. */
  readonly partial?: Partial | undefined
}

interface Open {
  readonly begin: Begin
  readonly xid: bigint
  /** Changes met so far, those of earlier pieces included. */
  ordinal: number
  /** Changes below were given already. */
  readonly given: number
  firstOrdinal: number
  changes: Change[]
  bytes: number
  /** Whether a consumer has seen some of it. */
  begun: boolean
}

const keepalive = 'k'.charCodeAt(0)
const walData = 'w'.charCodeAt(0)
/** The kind, and three numbers of eight bytes. */
const walHeaderBytes = 25
/** A change is an object, its row and its texts. */
const bytesPerChange = 100
const maxSamples = 32

/**
 * Makes transactions and proofs of freshness out of frames, in their order. It waits for nothing: what it lacks it says, and it is asked again.
 */
export class TransactionReader {
  readonly #options: TransactionReaderOptions
  readonly #decoder = new PgoutputDecoder()
  #snapshot: Snapshot | undefined
  #open: Open | undefined
  #partial: Partial | undefined
  #samples: Sample[] = []
  /** Every commit before it was given. */
  #passedLsn: bigint

  constructor(options: TransactionReaderOptions) {
    this.#options = options
    this.#partial = options.partial
    this.#passedLsn = options.startLsn
  }

  /** Every commit before it was given, and is complete. */
  get passedLsn(): bigint {
    return this.#passedLsn
  }

  /** The transaction of which the last piece is still to come. */
  get partial(): Partial | undefined {
    if (this.#open?.begun !== true) return this.#partial
    return { lsn: this.#open.begin.commitLsn, nextOrdinal: this.#open.firstOrdinal }
  }

  /** Whether nothing stands between what was given and the server's last word. */
  get idle(): boolean {
    return this.#open === undefined && this.#options.queue.peek() === undefined
  }

  /** Takes a snapshot of after the frames so far. */
  see(snapshot: Snapshot): void {
    this.#snapshot = snapshot
  }

  /** Asks for a proof of freshness. Where nobody takes proofs for long, old questions are thinned out. */
  ask(sample: Sample): void {
    if (this.#samples.length >= maxSamples) this.#samples = this.#samples.filter((_sample, index) => index % 2 === 0)
    this.#samples.push(sample)
  }

  get hasOpenSamples(): boolean {
    return this.#samples.length > 0
  }

  read(): Step {
    for (;;) {
      const proof = this.#proof()
      if (proof) return proof
      const frame = this.#options.queue.peek()
      if (frame === undefined) return 'empty'
      const step = frame[0] === keepalive ? this.#alive(frame) : this.#data(frame)
      if (step !== undefined) return step
    }
  }

  #alive(frame: Buffer): undefined {
    if (frame.length !== 18) throw new TidemarkError('TM_FEED_PROTOCOL', { reason: `a keepalive has ${frame.length} bytes` })
    this.#options.queue.shift()
    // Within a transaction it says nothing of that one.
    if (this.#open === undefined) this.#pass(frame.readBigUInt64BE(1))
  }

  #data(frame: Buffer): Step | undefined {
    if (frame[0] !== walData || frame.length < walHeaderBytes) {
      throw new TidemarkError('TM_FEED_PROTOCOL', {
        reason: `a frame of ${frame.length} bytes begins with ${frame[0] ?? 'nothing'}`,
      })
    }
    // A transaction that cannot be seen yet stays at the head of the queue, and everything waits behind it.
    if (frame[walHeaderBytes] === 0x42) return this.#begin(frame)
    this.#options.queue.shift()
    const message = this.#decoder.decode(frame, walHeaderBytes)
    switch (message.type) {
      case 'row':
        return this.#add(message.change, frame.length)
      case 'truncate':
        for (const change of message.changes) this.#collect(change, bytesPerChange)
        return undefined
      case 'commit':
        return this.#commit(message.endLsn)
      default:
        return undefined
    }
  }

  #begin(frame: Buffer): Step | undefined {
    const begin = this.#decoder.decode(frame, walHeaderBytes) as Begin
    if (this.#open) throw new TidemarkError('TM_FEED_PROTOCOL', { reason: 'a transaction begins within another one' })
    if (begin.commitLsn > this.#passedLsn) {
      this.#pass(begin.commitLsn)
      const proof = this.#proof()
      if (proof) return proof
    }
    const snapshot = this.#snapshot
    if (snapshot === undefined) return 'unseen'
    const xid = widenXid(begin.xid, snapshot.xmax)
    if (!isVisible(xid, snapshot)) return 'unseen'
    this.#options.queue.shift()
    const given = this.#partial?.lsn === begin.commitLsn ? this.#partial.nextOrdinal : 0
    this.#partial = undefined
    this.#open = { begin, xid, ordinal: 0, given, firstOrdinal: given, changes: [], bytes: 0, begun: given > 0 }
    return undefined
  }

  #collect(change: Change, bytes: number): Open {
    const open = this.#open
    if (open === undefined) throw new TidemarkError('TM_FEED_PROTOCOL', { reason: 'a change stands outside of a transaction' })
    if (open.ordinal++ >= open.given) {
      open.changes.push(change)
      open.bytes += bytes
    }
    return open
  }

  #add(change: Change, bytes: number): Step | undefined {
    const open = this.#collect(change, bytes + bytesPerChange)
    return open.bytes >= this.#options.maxPieceBytes ? this.#piece(open, false) : undefined
  }

  #commit(endLsn: bigint): Step | undefined {
    const open = this.#open
    if (open === undefined) throw new TidemarkError('TM_FEED_PROTOCOL', { reason: 'a commit stands outside of a transaction' })
    this.#open = undefined
    this.#pass(endLsn)
    // Where nothing of it was ours, there is nothing to tell.
    return open.changes.length > 0 || open.begun ? this.#piece(open, true) : undefined
  }

  #piece(open: Open, last: boolean): TransactionPiece {
    const { begin, xid, firstOrdinal, changes } = open
    const position = { epoch: this.#options.epoch, number: begin.commitLsn }
    open.begun = true
    open.firstOrdinal = open.ordinal
    open.changes = []
    open.bytes = 0
    return { type: 'transaction', position, xid, committedAt: begin.committedAt, firstOrdinal, changes, last }
  }

  #pass(lsn: bigint): void {
    if (lsn > this.#passedLsn) this.#passedLsn = lsn
  }

  /** The latest of the moments up to which everything was given. */
  #proof(): FreshnessProof | undefined {
    if (this.#samples.length === 0 || this.#open !== undefined) return undefined
    let met: Sample | undefined
    let count = 0
    for (const sample of this.#samples) {
      if (sample.lsn > this.#passedLsn) break
      met = sample
      count += 1
    }
    if (met === undefined) return undefined
    this.#samples.splice(0, count)
    return { type: 'fresh', position: { epoch: this.#options.epoch, number: this.#passedLsn - 1n }, asOf: met.asOf }
  }
}

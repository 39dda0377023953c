import { isTidemarkError, reasonOf, TidemarkError } from '../../errors.js'
import type { TopicMessage } from '../realtime.js'
import type { Bus } from './bus.js'
import { type CountEntry, encodeEntry, encodeFrame, type MemberEntry, type NodeRecord } from './frame.js'
import type { Member, MemberChange, NodeView } from './node-view.js'
import { StatePieces } from './state-pieces.js'

/** Frames are cut about here: Redis passes a message on as a whole. */
const frameBytes = 256 * 1024
/** More than this on its way to Redis, and it does not keep up. */
const maxUnderwayBytes = 64 * 1024 * 1024

export interface SenderOptions {
  /** In hex. */
  readonly node: string
  readonly bus: Bus
}

interface Sending {
  readonly promise: Promise<void>
  resolve(): void
  reject(error: Error): void
}

const createSending = (): Sending => {
  let sending: Omit<Sending, 'promise'> | undefined
  const promise = new Promise<void>((resolve, reject) => {
    sending = { resolve, reject }
  })
  // Who does not ask how it ended is not harmed by it.
  promise.catch(() => {})
  return { promise, ...sending! }
}

const toEntry = (topic: string, ref: string, member: Member | undefined): MemberEntry =>
  member === undefined ? [topic, ref] : [topic, ref, member.key, member.meta.payload]

/** Sends what this node has to tell the others: all of one turn of the event loop in one frame, in its order. */
export class Sender {
  readonly #options: SenderOptions
  #number = 0
  #missed = false
  #entries: Buffer[] = []
  #bytes = 0
  #sending = createSending()
  #members: MemberEntry[] = []
  readonly #counts = new Map<string, number>()
  #underwayBytes = 0
  #scheduled = false

  constructor(options: SenderOptions) {
    this.#options = options
  }

  /** Resolves when it is on its way; also where nobody can be reached, who are told of a gap later. */
  message(message: TopicMessage): Promise<void> {
    if (!this.#options.bus.open) {
      this.#missed = true
      return Promise.resolve()
    }
    if (this.#underwayBytes > maxUnderwayBytes) {
      return Promise.reject(new TidemarkError('TM_REALTIME_BROADCAST', { reason: 'it does not keep up' }))
    }
    this.#gatherChanges()
    const entry = encodeEntry({ message })
    if (this.#bytes + entry.length > frameBytes && this.#bytes > 0) this.flush()
    this.#add(entry)
    return this.#sending.promise
  }

  member({ topic, ref, member }: MemberChange): void {
    this.#members.push(toEntry(topic, ref, member))
    this.#schedule()
  }

  count(topic: string, count: number): void {
    this.#counts.set(topic, count)
    this.#schedule()
  }

  record(record: NodeRecord): void {
    this.#gatherChanges()
    this.#add(encodeEntry({ record }))
  }

  /** All that this node says of itself, in pieces. */
  state({ members }: NodeView, counts: Iterable<CountEntry>): void {
    this.flush()
    const pieces = new StatePieces((piece) => {
      this.record({ type: 'state', ...piece })
      this.flush()
    })
    for (const [topic, of] of members) for (const [ref, member] of of) pieces.member(toEntry(topic, ref, member))
    for (const entry of counts) pieces.count(entry)
    pieces.end()
  }

  /** Sends what has gathered, without waiting for the end of the turn. */
  flush(): Promise<void> {
    this.#gatherChanges()
    const entries = this.#entries
    const sending = this.#sending
    if (entries.length === 0) return Promise.resolve()
    this.#entries = []
    this.#bytes = 0
    this.#sending = createSending()
    void this.#send(entries).then(sending.resolve, sending.reject)
    return sending.promise
  }

  #gatherChanges(): void {
    if (this.#members.length === 0 && this.#counts.size === 0) return
    const record: NodeRecord = { type: 'change', members: this.#members, counts: [...this.#counts] }
    this.#members = []
    this.#counts.clear()
    this.#add(encodeEntry({ record }))
  }

  #add(entry: Buffer): void {
    this.#entries.push(entry)
    this.#bytes += entry.length
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      void this.flush()
    })
  }

  async #send(entries: readonly Buffer[]): Promise<void> {
    const { bus, node } = this.#options
    if (!bus.open) {
      this.#missed = true
      return
    }
    // A hole in the numbers tells the others that something did not reach them.
    this.#number += this.#missed ? 2 : 1
    this.#missed = false
    const frame = encodeFrame(node, this.#number, entries)
    this.#underwayBytes += frame.length
    try {
      await bus.send(frame)
    } catch (error) {
      // Whom the connection failed is told of a gap; what Redis refuses, its sender should know.
      if (isTidemarkError(error, 'TM_REDIS_COMMAND')) {
        throw new TidemarkError('TM_REALTIME_BROADCAST', { reason: reasonOf(error) }, { cause: error })
      }
    } finally {
      this.#underwayBytes -= frame.length
    }
  }
}

import type { Logger } from '../../observability/observability.js'
import type { TopicMessage } from '../realtime.js'
import { type CountEntry, decodeFrame, type Entry, type Frame, frameHead, type MemberEntry, type NodeRecord } from './frame.js'
import { type MemberChange, NodeView } from './node-view.js'
import type { TopicTable } from './topic-table.js'

/** How long a node may say nothing before it is taken for dead: three beats, and what the way takes. */
export const deadAfterMs = 3_500
/** Who does not hear itself for so long judges nobody else. */
const deafAfterMs = 2_200
/** Who hears nothing for so long goes on without the others. */
const aloneAfterMs = 30_000
/** How long it is remembered how far a dead node was heard. */
const rememberMs = 600_000
const askAgainMs = 900

export interface PeersOptions {
  /** This node's. */
  readonly node: string
  readonly table: TopicTable
  readonly log: Logger
  now(): number
  /** Something that others sent was not heard. */
  missed(): void
  /** All of a node has to be told again. */
  ask(node: string): void
  /** Somebody wants to know all of this node. */
  asked(): void
  message(message: TopicMessage): void
}

/** The node that tells what is told once, or will soon. */
export interface Elder {
  readonly tells: boolean
  /** Goes on while it is heard. */
  readonly heardAtMs: number
}

/** Another node, as far as it was heard. */
interface Peer {
  readonly id: string
  readonly view: NodeView
  /** Of the last frame heard. */
  number: number
  heardAtMs: number
  askedAtMs: number
  alive: boolean
  /** Whether all that it says of itself is known. */
  synced: boolean
  /** What has come of a state that comes in pieces. */
  incoming: NodeView | undefined
  born: number
  tells: boolean
}

const toChange = ([topic, ref, key, payload = null]: MemberEntry): MemberChange =>
  key === undefined ? { topic, ref } : { topic, ref, member: { key, meta: { ref, payload } } }

/**
 * The other nodes. What one says of itself is taken as it comes; a hole in its numbers means that all of it is asked for again, and only
 * what differs is told, so that nothing is told twice and nothing is lost.
 */
export class Peers {
  readonly #options: PeersOptions
  readonly #peers = new Map<string, Peer>()
  #ownNumber: number | undefined
  #ownHeardAtMs: number
  #hearsSinceMs = Number.POSITIVE_INFINITY

  constructor(options: PeersOptions) {
    this.#options = options
    this.#ownHeardAtMs = options.now()
  }

  get alive(): number {
    return [...this.#peers.values()].filter(({ alive }) => alive).length
  }

  /** Whether all that the other nodes say of themselves is known. */
  get synced(): boolean {
    return [...this.#peers.values()].every(({ alive, synced }) => synced || !alive)
  }

  /** Whether this node does not hear even itself. */
  get deaf(): boolean {
    return this.#options.now() - this.#ownHeardAtMs > deafAfterMs
  }

  /** For how long this node has heard itself without a break. */
  get hearsForMs(): number {
    return this.deaf ? 0 : Math.max(0, this.#options.now() - this.#hearsSinceMs)
  }

  /** The oldest node; undefined where none is older than this one. */
  elder(born: number): Elder | undefined {
    let elder: Peer | undefined
    const before = (one: { born: number; id: string }, other: { born: number; id: string }) =>
      one.born < other.born || (one.born === other.born && one.id < other.id)
    for (const peer of this.#peers.values()) {
      if (!peer.alive || !before(peer, { born, id: this.#options.node })) continue
      if (elder === undefined || before(peer, elder)) elder = peer
    }
    return elder
  }

  hear(bytes: Buffer): void {
    const head = frameHead(bytes)
    if (head?.node === this.#options.node) this.#hearOwn(head.number)
    else if (head) this.#hearOther(head.node, bytes)
  }

  #hearOther(node: string, bytes: Buffer): void {
    const frame = decodeFrame(bytes)
    if (frame === undefined) {
      this.#options.log.warn('a message of another node cannot be read', { node })
      return
    }
    const peer = this.#heard(frame)
    if (peer) for (const entry of frame.entries) this.#take(peer, entry)
  }

  /** Called about every second. */
  check(): void {
    const now = this.#options.now()
    const silentMs = now - this.#ownHeardAtMs
    for (const peer of this.#peers.values()) {
      const dead = silentMs <= deafAfterMs ? now - peer.heardAtMs > deadAfterMs : silentMs > aloneAfterMs
      if (peer.alive && dead) this.#part(peer)
      if (!peer.alive && now - peer.heardAtMs > rememberMs) this.#peers.delete(peer.id)
      if (peer.alive && !peer.synced) this.#ask(peer)
    }
  }

  /** What a node sends comes back to it: a line that does not hear shows itself so, and how much it missed. */
  #hearOwn(number: number): void {
    const { now: time, missed } = this.#options
    const now = time()
    if (now - this.#ownHeardAtMs > deafAfterMs || this.#ownNumber === undefined) {
      this.#hearsSinceMs = now
      // They may have said that they live while nothing was heard.
      for (const peer of this.#peers.values()) if (peer.alive) peer.heardAtMs = now
    }
    if (this.#ownNumber !== undefined && number !== this.#ownNumber + 1) missed()
    this.#ownNumber = number
    this.#ownHeardAtMs = now
  }

  /** Gives the peer where the frame counts. */
  #heard({ node, number }: Frame): Peer | undefined {
    const peer = this.#peers.get(node) ?? this.#meet(node, number)
    if (number <= peer.number) return undefined
    const hole = number !== peer.number + 1
    peer.number = number
    peer.heardAtMs = this.#options.now()
    if (hole) {
      this.#options.missed()
      peer.synced = false
      peer.incoming = undefined
    }
    if (!peer.alive) {
      peer.alive = true
      peer.synced = false
      this.#options.table.join(peer.view)
      this.#options.log.info('a node is back', { node })
    }
    if (!peer.synced) this.#ask(peer)
    return peer
  }

  #meet(id: string, number: number): Peer {
    const now = this.#options.now()
    // Of a first frame all is known. Who was there before this node came was not missed; who was not heard for long, was.
    const early = this.hearsForMs < deadAfterMs
    const peer: Peer = {
      id,
      view: new NodeView(),
      number: number === 1 || early ? number - 1 : number - 2,
      heardAtMs: now,
      askedAtMs: Number.NEGATIVE_INFINITY,
      alive: true,
      synced: number === 1,
      incoming: undefined,
      born: Number.POSITIVE_INFINITY,
      tells: false,
    }
    this.#peers.set(id, peer)
    this.#options.table.join(peer.view)
    this.#options.log.debug('another node is there', { node: id })
    return peer
  }

  #part(peer: Peer): void {
    peer.alive = false
    peer.incoming = undefined
    this.#options.log.info('a node is gone; who was present through it has left', { node: peer.id })
    this.#options.table.part(peer.view)
  }

  #ask(peer: Peer): void {
    const now = this.#options.now()
    if (now - peer.askedAtMs < askAgainMs) return
    peer.askedAtMs = now
    this.#options.ask(peer.id)
  }

  #take(peer: Peer, entry: Entry): void {
    if ('message' in entry) this.#options.message(entry.message)
    else this.#takeRecord(peer, entry.record)
  }

  #takeRecord(peer: Peer, record: NodeRecord): void {
    if (record.type === 'change') this.#change(peer, record.members, record.counts)
    else if (record.type === 'state') this.#state(peer, record)
    else if (record.type === 'beat') {
      peer.born = record.born
      peer.tells = record.tells
    } else if (record.type === 'bye') this.#part(peer)
    else if (record.of === null || record.of === this.#options.node) this.#options.asked()
  }

  #change({ view }: Peer, members: readonly MemberEntry[], counts: readonly CountEntry[]): void {
    const { table } = this.#options
    table.apply(view, members.map(toChange))
    for (const [topic, count] of counts) table.setCount(view, topic, count)
  }

  #state(peer: Peer, { first, last, members, counts }: Extract<NodeRecord, { type: 'state' }>): void {
    if (peer.synced) return
    if (first) peer.incoming = new NodeView()
    const { incoming } = peer
    if (incoming === undefined) return
    for (const member of members) incoming.apply(toChange(member))
    for (const [topic, count] of counts) incoming.setCount(topic, count)
    if (!last) return
    peer.incoming = undefined
    peer.synced = true
    this.#options.table.replace(peer.view, incoming)
  }
}

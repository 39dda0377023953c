import type { Logger } from '../../observability/observability.js'
import type { Json, PresenceMeta, PresenceState, TopicListener, TopicMessage, TopicSubscription } from '../realtime.js'
import { type MemberChange, NodeView } from './node-view.js'
import { addMeta, PresenceDiffs } from './presence-diffs.js'

/** What happens here and others have to hear of. */
export interface TableEvents {
  member(change: MemberChange): void
  /** How many listen to the topic on this node now. */
  count(topic: string, count: number): void
  /** Others listen to the topic on another node than this node knew. */
  countElsewhere(topic: string): void
  /** The first listener of all nodes came, or the last one left, as far as this node knows. */
  crossed(topic: string, occupied: boolean): void
  /** The first appearance of a key came, over all nodes, or the last one left; of watched topics. */
  keyCrossed(topic: string, key: string, present: boolean): void
}

export interface TopicTableOptions {
  readonly log: Logger
  readonly events: TableEvents
  /** A ref that no other node draws. */
  newRef(): string
  /** Whether `keyCrossed` is asked for. */
  watched(topic: string): boolean
}

/** Who listens to a topic on this node: a list by its links, because most topics of most connections have one listener. */
interface Topic {
  readonly name: string
  first: Subscription | undefined
  last: Subscription | undefined
  size: number
}

/** Who listens here, who is present anywhere, and what is told to whom. Knows nothing of how nodes reach each other. */
export class TopicTable {
  readonly options: TopicTableOptions
  readonly own = new NodeView()
  readonly #others = new Set<NodeView>()
  readonly #topics = new Map<string, Topic>()

  constructor(options: TopicTableOptions) {
    this.options = options
  }

  get listeners(): number {
    let listeners = 0
    for (const { size } of this.#topics.values()) listeners += size
    return listeners
  }

  subscribe(name: string, listener: TopicListener): TopicSubscription {
    const known = this.#topics.get(name)
    const topic = known ?? { name, first: undefined, last: undefined, size: 0 }
    if (!known) this.#topics.set(name, topic)
    const subscription = new Subscription(this, topic, listener)
    subscription.previous = topic.last
    if (topic.last) topic.last.next = subscription
    else topic.first = subscription
    topic.last = subscription
    this.#resize(topic, topic.size + 1)
    return subscription
  }

  /** Gives how many heard it. */
  deliver(message: TopicMessage): number {
    let heard = 0
    this.#tell(message.topic, (listener) => {
      if (listener.id === message.except) return
      heard++
      listener.message(message)
    })
    return heard
  }

  gap(): void {
    for (const name of [...this.#topics.keys()]) this.#tell(name, (listener) => listener.gap?.())
  }

  /** What this node's own subscriptions change; told here and to the others. */
  change(changes: readonly MemberChange[]): void {
    this.apply(this.own, changes)
    for (const change of changes) this.options.events.member(change)
  }

  /** What a node changed. A change that is known already changes nothing. */
  apply(node: NodeView, changes: readonly MemberChange[]): void {
    const diffs = new PresenceDiffs()
    for (const change of changes) this.#applyOne(node, change, diffs)
    this.#tellDiffs(diffs)
  }

  presence(topic: string): PresenceState {
    return this.#presence(topic, [this.own, ...this.#others])
  }

  ownPresence(topic: string): PresenceState {
    return this.#presence(topic, [this.own])
  }

  #presence(topic: string, nodes: readonly NodeView[]): PresenceState {
    const state = new Map<string, PresenceMeta[]>()
    for (const node of nodes) {
      for (const member of node.members.get(topic)?.values() ?? []) addMeta(state, member)
    }
    return state
  }

  count(topic: string): number {
    return (this.#topics.get(topic)?.size ?? 0) + this.#countElsewhere(topic)
  }

  /** Every topic of this node with how many listen to it here. */
  *counts(): IterableIterator<readonly [topic: string, count: number]> {
    for (const { name, size } of this.#topics.values()) yield [name, size]
  }

  occupied(prefix: string): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    const add = (topic: string, count: number) => {
      if (topic.startsWith(prefix)) counts.set(topic, (counts.get(topic) ?? 0) + count)
    }
    for (const [topic, count] of this.counts()) add(topic, count)
    for (const node of this.#others) for (const [topic, count] of node.counts) add(topic, count)
    return counts
  }

  /** From now on what the node says counts. */
  join(node: NodeView): void {
    this.#others.add(node)
  }

  /** The node is gone: whoever was present through it has left. */
  part(node: NodeView): void {
    this.replace(node, new NodeView())
    this.#others.delete(node)
  }

  setCount(node: NodeView, topic: string, count: number): void {
    const before = this.count(topic)
    node.setCount(topic, count)
    const after = this.count(topic)
    if (after !== before) this.options.events.countElsewhere(topic)
    this.#crossing(topic, before, after)
  }

  /** All that the node says of itself: only what differs from what is known is told. */
  replace(node: NodeView, state: NodeView): void {
    const diffs = new PresenceDiffs()
    for (const [topic, members] of [...node.members]) {
      const still = state.members.get(topic)
      for (const ref of [...members.keys()]) if (!still?.has(ref)) this.#applyOne(node, { topic, ref }, diffs)
    }
    for (const [topic, members] of state.members) {
      for (const [ref, member] of members) this.#applyOne(node, { topic, ref, member }, diffs)
    }
    this.#tellDiffs(diffs)
    for (const topic of [...node.counts.keys()]) if (!state.counts.has(topic)) this.setCount(node, topic, 0)
    for (const [topic, count] of state.counts) this.setCount(node, topic, count)
  }

  /** Of a subscription that ends. */
  remove(subscription: Subscription, topic: Topic): void {
    const { previous, next } = subscription
    if (previous) previous.next = next
    else topic.first = next
    if (next) next.previous = previous
    else topic.last = previous
    // Its own links stay: somebody may be on the way along them.
    if (topic.size === 1) this.#topics.delete(topic.name)
    this.#resize(topic, topic.size - 1)
  }

  #resize(topic: Topic, size: number): void {
    const elsewhere = this.#countElsewhere(topic.name)
    const before = topic.size
    topic.size = size
    this.options.events.count(topic.name, size)
    this.#crossing(topic.name, before + elsewhere, size + elsewhere)
  }

  #countElsewhere(topic: string): number {
    let count = 0
    for (const node of this.#others) count += node.counts.get(topic) ?? 0
    return count
  }

  #applyOne(node: NodeView, change: MemberChange, diffs: PresenceDiffs): void {
    const { topic } = change
    const applied = node.apply(change)
    diffs.add(topic, applied)
    const key = applied?.joined?.key ?? applied?.left?.key
    if (key === undefined || !this.options.watched(topic)) return
    const appearances = this.#appearances(topic, key)
    if (applied?.joined && appearances === 1) this.options.events.keyCrossed(topic, key, true)
    if (applied?.left && appearances === 0) this.options.events.keyCrossed(topic, key, false)
  }

  #appearances(topic: string, key: string): number {
    let count = 0
    for (const node of [this.own, ...this.#others]) {
      for (const member of node.members.get(topic)?.values() ?? []) if (member.key === key) count++
    }
    return count
  }

  #crossing(topic: string, before: number, after: number): void {
    if (before === 0 && after > 0) this.options.events.crossed(topic, true)
    if (before > 0 && after === 0) this.options.events.crossed(topic, false)
  }

  #tellDiffs(diffs: PresenceDiffs): void {
    for (const [topic, diff] of diffs) this.#tell(topic, (listener) => listener.presence?.(diff))
  }

  /** A listener that fails harms no other. */
  #tell(name: string, tell: (listener: TopicListener) => void): void {
    const topic = this.#topics.get(name)
    // Who comes on the way was not there when it happened.
    const last = topic?.last
    for (let each = topic?.first; each; each = each === last ? undefined : each.next) {
      if (each.closed) continue
      try {
        tell(each.listener)
      } catch (err) {
        this.options.log.error('a listener to a topic failed', { topic: name, err })
      }
    }
  }
}

class Subscription implements TopicSubscription {
  readonly listener: TopicListener
  readonly #table: TopicTable
  readonly #topic: Topic
  previous: Subscription | undefined
  next: Subscription | undefined
  closed = false
  #ref: string | undefined

  constructor(table: TopicTable, topic: Topic, listener: TopicListener) {
    this.#table = table
    this.#topic = topic
    this.listener = listener
  }

  presence(): PresenceState {
    return this.#table.presence(this.#topic.name)
  }

  async track(key: string, payload: Json): Promise<string> {
    const ref = this.#table.options.newRef()
    if (this.closed) return ref
    const topic = this.#topic.name
    const change: MemberChange = { topic, ref, member: { key, meta: { ref, payload } } }
    const before = this.#ref
    this.#ref = ref
    this.#table.change(before === undefined ? [change] : [{ topic, ref: before }, change])
    return ref
  }

  async untrack(): Promise<void> {
    this.#leave()
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.#table.remove(this, this.#topic)
    this.#leave()
  }

  #leave(): void {
    const ref = this.#ref
    if (ref === undefined) return
    this.#ref = undefined
    this.#table.change([{ topic: this.#topic.name, ref }])
  }
}

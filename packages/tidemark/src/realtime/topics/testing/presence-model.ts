import { createMetrics } from '../../../observability/metrics.js'
import { silentLogger } from '../../../observability/observability.js'
import type { FakeClock } from '../../../testing/fake-clock.js'
import type { PresenceDiff, PresenceState, TopicSubscription } from '../../realtime.js'
import { createTopicMetrics } from '../topic-metrics.js'
import { TopicNode } from '../topic-node.js'
import { createMemoryBus, type MemoryLine } from './memory-bus.js'

export const turn = async (): Promise<void> => {
  for (let count = 0; count < 3; count++) await new Promise((resolve) => setImmediate(resolve))
}

const refsOf = (state: PresenceState): Map<string, string> => {
  const refs = new Map<string, string>()
  for (const [key, metas] of state) for (const { ref, payload } of metas) refs.set(ref, `${key} ${JSON.stringify(payload)}`)
  return refs
}

/** A listener that holds what it was told against what is possible: nobody comes twice, and nobody leaves who is not there. */
class Witness {
  readonly id: string
  readonly topic: string
  readonly messages: string[] = []
  gaps = 0
  /** Who came and who left, one by one. */
  told = 0
  subscription!: TopicSubscription
  #seen = new Map<string, string>()
  readonly faults: string[] = []

  constructor(id: string, topic: string) {
    this.id = id
    this.topic = topic
  }

  begin(subscription: TopicSubscription): void {
    this.subscription = subscription
    this.#seen = refsOf(subscription.presence())
  }

  message({ body }: { readonly body: Buffer }): void {
    this.messages.push(body.toString())
  }

  gap(): void {
    this.gaps++
  }

  presence({ joins, leaves }: PresenceDiff): void {
    this.told += refsOf(leaves).size + refsOf(joins).size
    for (const ref of refsOf(leaves).keys()) if (!this.#seen.delete(ref)) this.faults.push(`${ref} left and was not there`)
    for (const [ref, what] of refsOf(joins)) {
      if (this.#seen.has(ref)) this.faults.push(`${ref} came twice`)
      this.#seen.set(ref, what)
    }
  }

  /** What it was told, and what the node says. */
  views(): readonly [told: Map<string, string>, said: Map<string, string>] {
    return [this.#seen, refsOf(this.subscription.presence())]
  }
}

interface ModelNode {
  readonly node: TopicNode
  readonly line: MemoryLine
  alive: boolean
  readonly witnesses: Witness[]
}

/** Nodes over a bus that fails, and what should be true of them. */
export class PresenceModel {
  readonly nodes: ModelNode[] = []
  readonly told: string[] = []
  readonly #bus = createMemoryBus()
  readonly #clock: FakeClock
  #ids = 0

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  async open(): Promise<ModelNode> {
    const line = this.#bus.connect()
    const node = new TopicNode({
      bus: line,
      detail: '',
      clock: this.#clock,
      log: silentLogger,
      metrics: createTopicMetrics(createMetrics()),
      counted: () => true,
    })
    const opened: ModelNode = { node, line, alive: true, witnesses: [] }
    node.onOccupancy((topic, occupied) => {
      if (opened.alive) this.told.push(`${topic} ${occupied}`)
    })
    this.nodes.push(opened)
    await node.start()
    return opened
  }

  subscribe({ node, witnesses }: ModelNode, topic: string): Witness {
    const witness = new Witness(`l${++this.#ids}`, topic)
    witness.begin(node.subscribe(topic, witness))
    witnesses.push(witness)
    return witness
  }

  close({ witnesses }: ModelNode, at: number): void {
    const [witness] = witnesses.splice(at, 1)
    witness?.subscription.close()
  }

  async kill(node: ModelNode): Promise<void> {
    node.alive = false
    node.line.kill()
    // Its process is no more; here its timers have to end.
    await node.node.stop()
  }

  get alive(): readonly ModelNode[] {
    return this.nodes.filter(({ alive }) => alive)
  }

  count(topic: string): number {
    return this.alive.flatMap(({ witnesses }) => witnesses).filter((witness) => witness.topic === topic).length
  }

  async stop(): Promise<void> {
    for (const { node } of this.alive) await node.stop()
  }
}

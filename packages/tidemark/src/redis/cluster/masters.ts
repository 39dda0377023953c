import { silentLogger } from '../../observability/observability.js'
import type { ResolvedConnectionOptions } from '../connection-options.js'
import { createIoredisTcp } from '../ioredis-tcp.js'
import type { BytesListener, Redis } from '../redis.js'
import { unreachable } from '../redis-error.js'
import type { TcpTarget } from '../redis-target.js'
import { addressOf, type ClusterMap, nameMasters, readClusterMap, readLife } from './cluster-map.js'
import { slotOf } from './slots.js'

export interface MastersOptions {
  readonly seeds: readonly TcpTarget[]
  readonly connection: ResolvedConnectionOptions
  /** The connection to a node of the map broke. */
  lost(why: unknown): void
}

/** Who listens to a channel, wherever its home is. */
interface Listening {
  readonly channel: string
  readonly listener: BytesListener
  home: Redis | undefined
  leave: () => Promise<void>
}

/** A view of the whole cluster, from one moment on. */
interface View {
  readonly map: ClusterMap
  readonly name: string
}

/** As address, however it was written. */
const targetOf = (address: string, like: TcpTarget): TcpTarget => {
  const { hostname, port } = new URL(`redis://${address}`)
  const scheme = like.tls ? 'rediss' : 'redis'
  return { ...like, host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), display: `${scheme}://${address}` }
}

/** The connections to the masters of a cluster, and which slots each has. */
export class Masters {
  readonly #options: MastersOptions
  readonly #nodes = new Map<string, Promise<Redis>>()
  /** Those that are up. */
  readonly #open = new Map<string, Redis>()
  readonly #listening = new Set<Listening>()
  #slots: string[] = []
  #view: View | undefined
  #isStopped = false

  constructor(options: MastersOptions) {
    this.#options = options
  }

  /** See `RedisCluster.masters`. */
  get name(): string {
    return this.#view?.name ?? ''
  }

  get addresses(): readonly string[] {
    return this.#view?.map.addresses ?? []
  }

  /** The master of a slot; raises TM_REDIS_UNREACHABLE where it is away. */
  at(slot: number): Redis {
    return this.opened(this.#slots[slot] ?? '')
  }

  opened(address: string): Redis {
    const node = this.#open.get(address)
    if (!node) throw unreachable(address, 'the master of the slot is away')
    return node
  }

  /** A slot was moved; false where its new master is not known, of which nobody knows what it has lost. */
  moved(slot: number, address: string): boolean {
    if (!this.addresses.includes(address)) return false
    this.#slots[slot] = address
    return true
  }

  /** Looks at the whole cluster anew. Gives what is to be done for it to count: at once, with no command in between. */
  async survey(timeoutMs: number): Promise<() => Promise<void>> {
    const map = await this.#readMap(timeoutMs)
    const nodes = await Promise.all(map.addresses.map((address) => this.node(address)))
    const lives = await Promise.all(nodes.map((node) => readLife(node, { timeoutMs })))
    const view: View = { map, name: nameMasters(map.addresses, lives) }
    return () => this.#adopt(view)
  }

  /** Whether what was last surveyed is still connected. */
  get isWhole(): boolean {
    return this.#view !== undefined && this.addresses.every((address) => this.#open.get(address)?.state === 'up')
  }

  /** The connection to a node, which may be none of the map's. Raises TM_REDIS_UNREACHABLE. */
  async node(address: string): Promise<Redis> {
    const known = this.#nodes.get(address)
    if (known) return known
    const opening = this.#connect(address)
    this.#nodes.set(address, opening)
    opening.catch(() => this.#nodes.delete(address))
    return opening
  }

  async #connect(address: string): Promise<Redis> {
    const { seeds, connection } = this.#options
    const known = seeds.find(({ host, port }) => addressOf(host, port) === address)
    const node = await createIoredisTcp(known ?? targetOf(address, seeds[0]!), {
      ...connection,
      log: silentLogger,
      signals: undefined,
    })
    if (node.state !== 'up' || this.#isStopped) {
      const why = await node.ping().catch((error: unknown) => error)
      await node.stop()
      throw why instanceof Error ? why : unreachable(address, 'the connection was stopped')
    }
    this.#open.set(address, node)
    node.onState(() => void this.#dropped(address, node))
    return node
  }

  async #dropped(address: string, node: Redis): Promise<void> {
    if (this.#open.get(address) !== node) return
    const why = node.ping().catch((error: unknown) => error)
    this.#forget(address)
    if (this.addresses.includes(address)) this.#options.lost(await why)
    await node.stop()
  }

  #forget(address: string): void {
    this.#open.delete(address)
    this.#nodes.delete(address)
  }

  /** Of the first that answers: masters that are known, by chance, since one that is cut off from the others knows no better; else the given. */
  async #readMap(timeoutMs: number): Promise<ClusterMap> {
    const { seeds, connection } = this.#options
    const given = seeds.map(({ host, port }) => addressOf(host, port))
    const known = [...this.#open.keys()]
    const first = Math.floor(connection.random() * known.length)
    let why: unknown
    for (const address of new Set([...known.slice(first), ...known.slice(0, first), ...given])) {
      try {
        const node = await this.node(address)
        return await readClusterMap(node, new URL(`redis://${address}`).hostname.replace(/^\[|\]$/g, ''), { timeoutMs })
      } catch (error) {
        why ??= error
      }
    }
    throw why
  }

  async #adopt(view: View): Promise<void> {
    const isOther = view.name !== this.name
    this.#view = view
    this.#slots = [...view.map.slots]
    for (const [address, node] of this.#open) {
      // One that has no slot yet may be asked for a key that is on its way to it.
      if (!isOther || view.map.addresses.includes(address)) continue
      this.#forget(address)
      void node.stop()
    }
    for (const listening of [...this.#listening]) await this.#goHome(listening)
  }

  /** Listens to channels, each at the master that has its slot, and at another when that has moved. */
  async listen(channels: readonly string[], listener: BytesListener): Promise<() => Promise<void>> {
    const all = channels.map((channel): Listening => ({ channel, listener, home: undefined, leave: async () => {} }))
    const leave = async (): Promise<void> => {
      for (const each of all) this.#listening.delete(each)
      await Promise.all(all.map((each) => each.leave()))
    }
    try {
      await Promise.all(all.map((each) => this.#goHome(each)))
    } catch (error) {
      await leave()
      throw error
    }
    for (const each of all) this.#listening.add(each)
    // The masters may have been looked at meanwhile.
    await Promise.all(all.map((each) => this.#goHome(each)))
    return leave
  }

  async #goHome(listening: Listening): Promise<void> {
    const home = this.at(slotOf(listening.channel))
    if (listening.home === home) return
    const { leave } = listening
    listening.leave = await home.subscribeBytes([listening.channel], listening.listener)
    listening.home = home
    await leave().catch(() => undefined)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#listening.clear()
    const nodes = [...this.#open.values()]
    this.#open.clear()
    this.#nodes.clear()
    await Promise.all(nodes.map((node) => node.stop()))
  }
}

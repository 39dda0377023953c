import type { Logger } from '../../observability/observability.js'

export type OccupancyListener = (topic: string, occupied: boolean) => void

interface Crossing {
  readonly topic: string
  readonly occupied: boolean
  readonly atMs: number
}

export interface OccupancyOptions {
  readonly log: Logger
  now(): number
}

/**
 * That a topic came to be listened to, or is no more: told by one node for all. Every node sees all of it, and what it did not tell is kept
 * for a while: who takes over from a node that died tells what happened since that one was last heard.
 */
export class Occupancy {
  readonly #options: OccupancyOptions
  readonly #listeners = new Set<OccupancyListener>()
  #untold: Crossing[] = []
  #tells = false

  constructor(options: OccupancyOptions) {
    this.#options = options
  }

  listen(listener: OccupancyListener): () => void {
    const own: OccupancyListener = (topic, occupied) => listener(topic, occupied)
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  get tells(): boolean {
    return this.#tells
  }

  crossed(topic: string, occupied: boolean): void {
    if (this.#tells) this.#tell(topic, occupied)
    else this.#untold.push({ topic, occupied, atMs: this.#options.now() })
  }

  /** This node tells from now on, and first what happened since then. */
  take(sinceMs: number): void {
    if (this.#tells) return
    this.#tells = true
    const net = new Map<string, boolean>()
    for (const { topic, occupied, atMs } of this.#untold) {
      if (atMs <= sinceMs) continue
      // There and back again.
      if (net.get(topic) === !occupied) net.delete(topic)
      else net.set(topic, occupied)
    }
    this.#untold = []
    for (const [topic, occupied] of net) this.#tell(topic, occupied)
  }

  /** Another node tells from now on. */
  leave(): void {
    this.#tells = false
  }

  /** What is older was told by another node. */
  forget(beforeMs: number): void {
    const from = this.#untold.findIndex(({ atMs }) => atMs >= beforeMs)
    this.#untold = from < 0 ? [] : this.#untold.slice(from)
  }

  #tell(topic: string, occupied: boolean): void {
    for (const listener of this.#listeners) {
      try {
        listener(topic, occupied)
      } catch (err) {
        this.#options.log.error('a listener to the occupancy of topics failed', { topic, err })
      }
    }
  }
}

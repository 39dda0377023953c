import { randomBytes } from 'node:crypto'
import type { DatabaseMessage } from '../../messages/messages.js'

/** What the registry tells channels of. */
export interface RegisteredChannel {
  databaseMessage(message: DatabaseMessage): void
  broadcastGap(): void
}

/** The channels of this process by their topics, for what Postgres has to tell them. */
export class ChannelRegistry {
  /** Most topics of most clients have one channel: it stands there without a set around it. */
  readonly #channels = new Map<string, RegisteredChannel | Set<RegisteredChannel>>()
  readonly #prefix = randomBytes(6).toString('base64url')
  #number = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Unique over all nodes. */
  newId(): string {
    this.#number += 1
    return `${this.#prefix}-${this.#number.toString(36)}`
  }

  add(topic: string, channel: RegisteredChannel): void {
    const known = this.#channels.get(topic)
    if (known === undefined) this.#channels.set(topic, channel)
    else if (known instanceof Set) known.add(channel)
    else this.#channels.set(topic, new Set([known, channel]))
    this.#size += 1
  }

  delete(topic: string, channel: RegisteredChannel): void {
    const known = this.#channels.get(topic)
    if (known instanceof Set) {
      if (!known.delete(channel)) return
      if (known.size === 0) this.#channels.delete(topic)
    } else if (known === channel) this.#channels.delete(topic)
    else return
    this.#size -= 1
  }

  /** Each topic with the number of its channels. */
  counts(): readonly (readonly [topic: string, channels: number])[] {
    return [...this.#channels].map(([topic, known]) => [topic, known instanceof Set ? known.size : 1])
  }

  *of(topic: string): Iterable<RegisteredChannel> {
    const known = this.#channels.get(topic)
    if (known instanceof Set) yield* known
    else if (known) yield known
  }

  *all(): Iterable<RegisteredChannel> {
    for (const topic of this.#channels.keys()) yield* this.of(topic)
  }
}

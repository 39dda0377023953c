import { type RelayMessage, type RelayQueue, relayGapEvent, relayKey } from './relay.js'

export interface MemoryQueueOptions {
  /** Default 10,000. */
  readonly maxMessages?: number
  /** Of the data as JSON. Default 16 MiB. */
  readonly maxBytes?: number
  /** How many names of what was told are remembered. Default 50,000. */
  readonly maxRemembered?: number
}

interface Held {
  readonly message: RelayMessage
  readonly bytes: number
}

/** In this process alone: what waits when it ends is gone, what comes while it is full takes the place of the oldest. */
export const createMemoryQueue = (options: MemoryQueueOptions = {}): RelayQueue => {
  const { maxMessages = 10_000, maxBytes = 16 * 1024 ** 2, maxRemembered = 50_000 } = options
  /** By name, in order. */
  const waiting = new Map<string, Held>()
  /** Names that were told, the oldest first. */
  const told = new Set<string>()
  const gaps = new Set<string>()
  let bytes = 0
  /** That something is missing is told without anything else giving way to it. */
  let announcements = 0
  const isAnnouncement = ({ message }: Held): boolean => message.event === relayGapEvent

  const remove = (key: string): void => {
    const held = waiting.get(key)
    if (!held) return
    waiting.delete(key)
    bytes -= held.bytes
    if (isAnnouncement(held)) announcements -= 1
  }

  const makeRoom = (): number => {
    let dropped = 0
    for (const [key, { message }] of waiting) {
      if (waiting.size - announcements <= maxMessages && bytes <= maxBytes) break
      remove(key)
      gaps.add(message.channel)
      dropped += 1
    }
    return dropped
  }

  const remember = (key: string): void => {
    told.add(key)
    if (told.size > maxRemembered) for (const oldest of told) return void told.delete(oldest)
  }

  return {
    isDurable: false,
    add: async (messages) => {
      let added = 0
      for (const message of messages) {
        const key = relayKey(message)
        if (told.has(key)) continue
        remember(key)
        const held = { message, bytes: Buffer.byteLength(JSON.stringify(message.data)) }
        waiting.set(key, held)
        bytes += held.bytes
        if (isAnnouncement(held)) announcements += 1
        added += 1
      }
      return { added, dropped: makeRoom() }
    },
    peek: async (most) => {
      const first: RelayMessage[] = []
      for (const { message } of waiting.values()) {
        if (first.length >= most) break
        first.push(message)
      }
      return first
    },
    done: async (messages) => {
      for (const message of messages) remove(relayKey(message))
    },
    takeGaps: () => {
      const channels = [...gaps]
      gaps.clear()
      return channels
    },
    size: async () => waiting.size,
    stored: async () => null,
    release: async () => {},
  }
}

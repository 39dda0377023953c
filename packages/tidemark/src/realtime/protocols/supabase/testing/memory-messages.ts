import type { Caller } from '../../../../auth/caller.js'
import { TidemarkError } from '../../../../errors.js'
import type {
  BroadcastListener,
  ChannelPolicies,
  ChannelRequest,
  ChannelRights,
  DatabaseBroadcasts,
  DatabaseMessage,
  MessageReplay,
} from '../../../messages/messages.js'

/** Private channels by their names: `open…` everything, `read…` reading alone, `closed…` nothing, `broken…` raises. */
export interface MemoryMessages extends ChannelPolicies, DatabaseBroadcasts, MessageReplay {
  /** Who asked, the latest last. */
  readonly asked: { readonly topic: string; readonly caller: Caller; readonly request: ChannelRequest | undefined }[]
  /** How often somebody asked for a replay. */
  replays(): number
  /** As if Postgres had broadcast it. */
  send(message: DatabaseMessage): void
  gap(): void
  /** What is replayed is found, and given only when this is called. */
  holdReplay(): () => void
  /** Nobody may read topics of this name any more. */
  close(topic: string): void
}

const rights = (read: boolean, write: boolean): ChannelRights => ({ broadcast: { read, write }, presence: { read, write } })

export const createMemoryMessages = (): MemoryMessages => {
  const listeners = new Set<BroadcastListener>()
  const sent: DatabaseMessage[] = []
  const closed = new Set<string>()
  let holding: Promise<void> | undefined
  let replays = 0
  const asked: MemoryMessages['asked'] = []
  return {
    asked,
    check: async (topic, caller, request) => {
      asked.push({ topic, caller, request })
      if (topic.startsWith('broken')) throw new TidemarkError('TM_REALTIME_UNAVAILABLE', { reason: 'a policy raises' })
      if (closed.has(topic)) return rights(false, false)
      return rights(/^(open|read)/.test(topic), topic.startsWith('open'))
    },
    listen: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    replay: async (topic, _caller, { limit = 25 }) => {
      replays += 1
      await holding
      return sent.filter((message) => message.topic === topic).slice(-limit)
    },
    replays: () => replays,
    holdReplay: () => {
      let free: () => void = () => undefined
      holding = new Promise((resolve) => {
        free = resolve
      })
      return free
    },
    send: (message) => {
      sent.push(message)
      for (const listener of listeners) listener.message(message, { epoch: 'memory-1', number: 1n })
    },
    gap: () => {
      for (const listener of listeners) listener.gap?.()
    },
    close: (topic) => void closed.add(topic),
  }
}

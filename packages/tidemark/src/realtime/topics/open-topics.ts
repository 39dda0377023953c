import { randomBytes } from 'node:crypto'
import type { Logger } from '../../observability/observability.js'
import type { TopicMessage, Topics } from '../realtime.js'
import { TopicTable } from './topic-table.js'

export interface TopicsOptions {
  readonly log: Logger
}

/** Broadcast and presence. Everybody who listens to a topic gets the same message and the same diff, object for object. */
export const openTopics = async ({ log }: TopicsOptions): Promise<Topics> => {
  const watchers = new Set<(topic: string, occupied: boolean) => void>()
  const id = randomBytes(8).toString('hex')
  let refs = 0
  const table = new TopicTable({
    log,
    newRef: () => `${id}-${(++refs).toString(36)}`,
    events: {
      member: () => {},
      count: () => {},
      crossed: (topic, occupied) => {
        for (const watcher of watchers) watcher(topic, occupied)
      },
    },
  })
  return {
    subscribe: (topic, listener) => table.subscribe(topic, listener),
    publish: async (message: TopicMessage) => {
      table.deliver(message)
    },
    count: async (topic) => table.count(topic),
    occupied: async (prefix) => table.occupied(prefix),
    onOccupancy: (listener) => {
      const own: typeof listener = (topic, occupied) => listener(topic, occupied)
      watchers.add(own)
      return () => void watchers.delete(own)
    },
    stop: async () => watchers.clear(),
  }
}

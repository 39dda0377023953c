import type { PresenceState, Topics } from '../realtime.js'

/** How far messages and presence reach. */
export interface Reach {
  /** `nodes`: every node. `alone`: this process, until Redis answers. `process`: this process, for good. */
  readonly reach: 'nodes' | 'alone' | 'process'
  /** Other nodes that are heard. */
  readonly others: number
  /** One line for people. */
  readonly detail: string
}

/** Everybody who listens to a topic on a node gets the same message and the same diff, object for object. */
export interface OpenTopics extends Topics {
  /** Who is present in a topic, on all nodes. */
  presence(topic: string): PresenceState
  /** Called when the first appearance of a key came, over all nodes, or the last one left; once over all nodes. Gives what ends it. */
  onPresence(listener: (topic: string, key: string, present: boolean) => void): () => void
  reach(): Reach
}

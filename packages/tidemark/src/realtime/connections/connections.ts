/**
 * The connections of all nodes, for operators. Each node looks through its own; the others are asked over the topics, as broadcasts go.
 *
 * operator ─► this node ─ ask ─► every other node ─ answer ─► one page, in the order of nodes and of their connections
 */
import type { ClientEntry, ClientQuery } from '../hub/client-list.js'
import type { EndedClient } from '../hub/hub.js'

/** A connection, with a name that all nodes know: `NODE.NUMBER`. */
export interface ConnectionEntry extends ClientEntry {
  /** `host:pid:NODE` */
  readonly node: string
}

export interface ConnectionQuery extends ClientQuery {
  /** By its whole name. */
  readonly node?: string | undefined
}

export interface NodeCount {
  readonly node: string
  /** All that it has, whatever was asked for. */
  readonly connections: number
}

export interface ConnectionPage {
  readonly connections: readonly ConnectionEntry[]
  /** Where the next page begins; null where this is the last. */
  readonly next: string | null
  /** Those that answered. */
  readonly nodes: readonly NodeCount[]
  /** So many others did not answer in time: what they have is missing. */
  readonly silent: number
}

export interface EndedConnection extends EndedClient {
  readonly id: string
  readonly node: string
}

export interface Connections {
  /** Raises nothing: a node that does not answer is counted. */
  list(query: ConnectionQuery): Promise<ConnectionPage>
  /** Ends a connection, on whichever node it is. Undefined where none that answers has it. */
  end(id: string): Promise<EndedConnection | undefined>
  stop(): void
}

/**
 * Private channels, and broadcast from the database: what the schema `realtime` says about channels, for the protocol that serves them.
 *
 * realtime.send() ─► realtime.messages ─► feed ─► {@link DatabaseBroadcasts} on every node ─► its own channels of that topic
 * policies on realtime.messages ─► {@link ChannelPolicies} ─► who may read and write in a private channel
 */
import type { Caller } from '../../auth/caller.js'
import type { Position } from '../../feed/position.js'

export interface ChannelRight {
  readonly read: boolean
  readonly write: boolean
}

/** What a caller may do in a private channel. */
export interface ChannelRights {
  readonly broadcast: ChannelRight
  readonly presence: ChannelRight
}

/** What a policy may look at besides the claims. */
export interface ChannelRequest {
  /** `request.headers`: those with which the socket was opened, names in lower case. Secrets among them are the sender's to leave out. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/**
 * Asks the policies of `realtime.messages` themselves. Nothing is kept here: a channel keeps the answer until its caller changes, as
 * Supabase's does.
 */
export interface ChannelPolicies {
  /**
   * `topic` without the `realtime:` in front of it: what `realtime.topic()` gives. Raises TM_REALTIME_CHANNEL_POLICY where a policy
   * raises or takes too long, TM_REALTIME_NO_CHANNELS where the database has no `realtime.messages`, and TM_POSTGRES_*.
   */
  check(topic: string, caller: Caller, request?: ChannelRequest): Promise<ChannelRights>
}

/** A row of `realtime.messages` that was broadcast. */
export interface DatabaseMessage {
  /** What is told as `meta.id`. */
  readonly id: string
  /** Without the `realtime:` in front of it. */
  readonly topic: string
  readonly event: string
  /** True: only for private channels of the topic; false: only for public ones. */
  readonly private: boolean
  /** JSON as Postgres writes it, or bytes. */
  readonly payload: { readonly kind: 'json'; readonly text: string } | { readonly kind: 'binary'; readonly bytes: Buffer }
}

export interface BroadcastListener {
  /** In commit order, once each while the process lives. Must not wait. Every node is told; it is for the node's own channels alone. */
  message(message: DatabaseMessage, position: Position): void
  /** Messages may be missing before this. */
  gap?(): void
}

/** What `realtime.send`, `realtime.send_binary` and `realtime.broadcast_changes` write, as it is committed. */
export interface DatabaseBroadcasts {
  /** Gives what ends it. */
  listen(listener: BroadcastListener): () => void
}

export interface ReplayOptions {
  /** Messages written at this moment or later. */
  readonly since: Date
  /** The newest so many, from 1 to 25. Default 25. */
  readonly limit?: number | undefined
}

/** Messages that were broadcast before. */
export interface MessageReplay {
  /**
   * Private broadcasts to the topic that the caller's own policies show it, oldest first; told with `meta: {replayed: true, id}`. Raises as
   * {@link ChannelPolicies.check} does.
   */
  replay(topic: string, caller: Caller, options: ReplayOptions, request?: ChannelRequest): Promise<readonly DatabaseMessage[]>
}

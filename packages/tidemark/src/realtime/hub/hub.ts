/**
 * The sockets of all protocols: takes upgrades of an HTTP server, keeps a bounded queue for each client, and cuts off who is too slow, too
 * quiet or too many. It knows nothing of what is said over them.
 *
 * upgrade ─► SocketProtocol.accept ─refused─► an HTTP answer
 *                     └─accepted─► Acceptance.open(connection) ─► SocketHandler: message … closed
 */
import type { IncomingHttpHeaders, Server } from 'node:http'
import type { Logger, Metrics } from '../../observability/observability.js'
import type { Clock } from '../../time/clock.js'
import type { Json } from '../realtime.js'
import type { ClientPage, ClientQuery } from './client-list.js'
import type { Connection } from './connection.js'

/** An upgrade before it is answered. */
export interface UpgradeRequest {
  /** Without the query, as it came. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** The address of the other end. */
  readonly remote: string
}

/** An HTTP answer in place of a socket. */
export interface Refusal {
  readonly status: number
  readonly body: Json
  readonly headers?: Readonly<Record<string, string>>
}

/** What a protocol knows of a client, for operators. Never a token, and nothing of what is said. */
export interface ClientView {
  /** Undefined where nobody is signed in. */
  readonly user: string | undefined
  /** In Postgres; undefined where the protocol has none. */
  readonly role: string | undefined
  /** As clients call them. */
  readonly channels: { readonly size: number; names(): Iterable<string> }
}

/** What a protocol does with one client. Its functions must not wait, and must not raise: a handler that raises loses its client (1011). */
export interface SocketHandler {
  /** One whole message, in the order of arrival. Text is valid UTF-8. */
  message(data: Buffer, isBinary: boolean): void
  /** The client has received everything up to this {@link Connection.sent}. Follows `requestAcknowledgement`. */
  acknowledged?(sent: number): void
  /** Called about once a second, for deadlines of its own. `nowMs` is monotonic. */
  sweep?(nowMs: number): void
  view?(): ClientView
  /** Called once, after which nothing else is. */
  closed(code: number, reason: string): void
}

export interface Acceptance {
  /** Called when the handshake is done. */
  open(connection: Connection): SocketHandler
}

/** How a protocol says goodbye when the hub ends a connection. */
export interface Farewell {
  readonly code: number
  readonly reason: string
  /** What clients of this protocol do then, for operators. */
  readonly next?: string
}

/** Why the hub ends connections: it leaves too much unread, nothing is heard of it, this process ends, an operator wants it. */
export type CutOff = 'slow' | 'idle' | 'shutdown' | 'operator'

/** A connection that {@link Hub.end} has ended. */
export interface EndedClient extends Farewell {
  readonly protocol: string
}

export interface SocketProtocol {
  /** A label of metrics. */
  readonly name: string
  takes(path: string): boolean
  /** Decides before the handshake. A failure is answered with status 500. */
  accept(request: UpgradeRequest): Promise<Acceptance | Refusal>
  /** The answer while the hub holds as many connections as it may. */
  full(): Refusal
  farewell(why: CutOff): Farewell
  /** A larger message ends the connection (1009). */
  readonly maxMessageBytes: number
  /** Without a sign of life for so long a connection ends. */
  readonly idleTimeoutMs: number
  /** A client that leaves more than this unread is cut off. */
  readonly maxBufferedBytes: number
}

export interface HubOptions {
  readonly log: Logger
  readonly metrics: Metrics
  /** Over all protocols. */
  readonly maxConnections: number
  /** At most one question for a client's acknowledgement in so long. Default 200. */
  readonly acknowledgeEveryMs?: number
  /** How long a client may take to read what was written before it was ended, and to answer. Default 5,000. */
  readonly closeTimeoutMs?: number
  readonly clock?: Clock
}

export interface Hub {
  /** Takes the upgrades of this server from now on. Whatever no protocol takes is answered as the request that it is besides. */
  attach(server: Server): void
  serve(protocol: SocketProtocol): void
  /** How many clients are connected, of one protocol or of all. */
  connections(protocol?: string): number
  /** Bytes that wait for clients to read them. */
  bufferedBytes(): number
  /** Its clients, in the order in which they came. Looks at some in each turn of the event loop: nobody waits for it. */
  clients(query: ClientQuery): Promise<ClientPage>
  /** Ends a connection as an operator wants it; undefined where none has that id, or it ends already. */
  end(id: string): EndedClient | undefined
  /** Brings metrics up to date before a scrape. */
  refreshMetrics(): void
  /** New upgrades are answered with 503. */
  refuseNew(): void
  /** Says farewell to everybody, waits for their answers at most so long, and ends what is left. */
  stop(timeoutMs?: number): Promise<void>
}

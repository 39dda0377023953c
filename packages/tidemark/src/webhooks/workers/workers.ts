import type { Logger, Metrics, Signals } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import type { Redis } from '../../redis/redis.js'
import type { Clock } from '../../time/clock.js'
import type { EventHandler, EventType, Renormalise } from '../webhooks.js'

/**
 * From the stream to the effect. A worker owns whole partitions: by a lease in Redis (in Postgres where there is no Redis), and by
 * an epoch in Postgres that every transaction of a handler looks at first. Within a partition events of one lane run one after
 * the other, and lanes side by side.
 *
 * read ─► lane ─► transaction { epoch · mark · handlers } ─► acknowledged
 *           │          └─ a throw ─► put off: the lane waits in Postgres, and goes on from there ─► … ─► dead letter
 *           └─ its lane waits in Postgres ─► stored behind it
 */
export interface WorkerSettings {
  /** Transactions of handlers at a time. Default 8. */
  readonly concurrency: number
  /** Events of quick handlers that share a transaction, at most. Default 256. */
  readonly batch: number
  /** Handlers that take at most this on the whole are quick. Default 10 ms. */
  readonly quickMs: number
  /** Tries of an event before it is a dead letter. Default 8. */
  readonly maxAttempts: number
  /** The first pause is a random part of this, each next one of twice as much. Default 1 s. */
  readonly retryBaseMs: number
  /** Default 15 min. */
  readonly retryMaxMs: number
  /** All handlers of an event together. Default 30 s. */
  readonly handlerTimeoutMs: number
  /** Default 5 s. */
  readonly heartbeatMs: number
  /** A worker that is not heard of for so long has lost its partitions. Default 11 s. */
  readonly leaseMs: number
  /** An event whose run ended the worker so often is a dead letter. Default 3. */
  readonly maxCrashes: number
  /** Events of a partition that are held in memory, at most. Default 2,000. */
  readonly held: number
  /** What is acknowledged, and older than this, is cut off the stream. Default 24 h. */
  readonly trimAfterMs: number
  /** A row that is in no stream is taken up after this long. Default 60 s. */
  readonly sweepAfterMs: number
  /** How long `stop` lets handlers finish before it takes their events back. Default 4 s. */
  readonly stopTimeoutMs: number
  /** What becomes of an event that nobody handles. Default `processed`. */
  readonly unhandled: 'processed' | 'dead'
  /** Events wait until Redis is back, or are handled from their rows meanwhile, in an order that is not promised. Default `wait`. */
  readonly whenRedisIsDown: 'wait' | 'handle'
  /** How long Redis has to be away for that. Default 5 s. */
  readonly rowsAfterMs: number
  /** Events of a replay that are sent through again per second. Default 200. */
  readonly replayPerSecond: number
}

/** Handlers by type; `*` gets every event. Several of one type run one after the other, in one transaction. */
export type HandlerTable = Readonly<Partial<Record<EventType | '*' | (string & {}), EventHandler | readonly EventHandler[]>>>

/** Who handles what. */
export interface Handlers {
  /** Registers a handler; gives what takes it away again. */
  on(type: EventType | '*' | (string & {}), handler: EventHandler): () => void
  /** Those of a type, in the order of their registration, those of `*` last. */
  of(type: string): readonly EventHandler[]
}

export interface WorkersOptions {
  /** Events, their marks and the effects of handlers are in its database. */
  readonly pool: Pool
  /** `createAbsentRedis()` where there is none: rows then are the queue. */
  readonly redis: Redis
  /** Opens a connection for reads that wait. Without it the streams are asked again and again. Whoever asks for one stops it. */
  readonly connect?: (name: string) => Promise<Redis>
  readonly handlers: Handlers
  /** As the intake has it. Default 1. */
  readonly partitions?: number
  readonly settings?: Partial<WorkerSettings>
  /** Without it a replay sends what was understood when the event came. */
  readonly renormalise?: Renormalise
  readonly metrics?: Metrics
  readonly signals?: Signals
  readonly log?: Logger
  readonly clock?: Clock
  /** From 0 up to 1. */
  readonly random?: () => number
}

/** How things stand in one process. */
export interface WorkersState {
  /** Unique among all processes. */
  readonly name: string
  /** Partitions that it owns. */
  readonly owned: readonly number[]
  /** Why it does not work at the moment; undefined while it does. */
  readonly paused: string | undefined
  /** Events in memory, running ones included. */
  readonly held: number
  readonly running: number
  /** Lanes that wait for the next attempt of their first event. */
  readonly parkedLanes: number
  /** Of the owned partitions: what the streams hold, and how long the oldest of it has waited. */
  readonly backlog: number
  readonly oldestMs: number
}

/** The workers of one process. */
export interface Workers {
  readonly state: WorkersState
  /** Looks for work now, such as when the intake of the same process stored something. */
  wake(): void
  /** Resolves when nothing is held and no row of an owned partition waits. For tests and for ends of scripts. */
  idle(): Promise<void>
  /** Stops reading, lets handlers finish within `stopTimeoutMs`, takes back what does not, and lets go of the partitions. */
  stop(): Promise<void>
}

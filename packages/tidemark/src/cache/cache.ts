/**
 * The words of the cache: values that are derived from tables, kept in memory (L1) and in Redis (L2), and taken away by the feed. A cache answers
 * only while its feed is proven fresh (FEED-3); what it stores has passed the fence (CACHE-1, CACHE-2).
 *
 *   get ─► memory ─► Redis ─► load ─► fence ─► Redis, memory
 *              ▲         ▲
 *   feed ──────┴─────────┘ takes away what a change touches, in Redis before the change is published (CACHE-4)
 */
import type { Position } from '../feed/position.js'
import type { Client, Pool } from '../postgres/postgres.js'

/** What may stand for a `{name}` in a key template. */
export type KeyPart = string | number | bigint

/** The names between braces of a template, as an object: `'chat:{user}:{id}'` gives `{ user, id }`. */
export type ParamsOf<Template extends string> = Template extends `${string}{${infer Name}}${infer Rest}`
  ? { readonly [K in Name]: KeyPart } & ParamsOf<Rest>
  : unknown

/** What a loader reads with: statements of one connection to the primary, outside of any transaction. */
export type LoadClient = Pick<Client, 'query'>

export type Load<Params, Value> = (params: Params, db: LoadClient, signal: AbortSignal) => Promise<Value>

/**
 * How rows of one table make keys: the column for the only name of the template, or a column for each name. A change evicts the key made of its
 * old row and the one made of its new row. `true`: any change of the table evicts every key of the entry. `{ tag }`: a template of column
 * names; a change evicts every value that carries the tag, such as `{ tag: 'user:{user_id}' }`.
 */
export type FromRule = string | Readonly<Record<string, string>> | true | { readonly tag: string }

export interface EntryOptions<Params, Value> {
  /** How long a value is kept at most, even if nothing changes. Milliseconds or text such as `'15m'`. A random tenth is taken off, so that not all go at once. */
  readonly ttl: number | string
  /** Tables (`schema.table`; without a schema: `public`) and how their rows make keys. Without it only `ttl`, `evict` and tags end a value. */
  readonly from?: Readonly<Record<string, FromRule | readonly FromRule[]>>
  readonly load: Load<Params, Value>
  /** Bytes of values in memory on each node. Default 16 MiB; 0 keeps nothing in memory. */
  readonly maxBytes?: number
  /** Values in memory on each node. Default: `maxBytes` is the only bound. */
  readonly maxEntries?: number
  /** A larger value is answered and not kept. Default an eighth of `maxBytes`, at most 8 MiB. */
  readonly maxValueBytes?: number
  /** Which value goes when memory is full. Default `sieve`. */
  readonly eviction?: 'sieve' | 'lru' | 'lfu'
  /** When Postgres does not answer: how old a value may be that is answered instead, marked as stale. Default 0: never. */
  readonly staleIfErrorFor?: number | string
  /** Beyond `ttl`, while nothing has changed: answered at once while a new one is loaded behind it. Default 0. */
  readonly staleWhileRevalidate?: number | string
  /** How long `null` (nothing found) is kept. Default: as `ttl`; 0: not kept. */
  readonly negativeTtl?: number | string
  /** True for keys to load again at once after an eviction: somebody is looking at them (R43). */
  readonly warm?: (params: Params) => boolean | Promise<boolean>
  /** Keys to load when a server starts. */
  readonly warmOnStart?: (db: LoadClient) => Promise<readonly Params[]>
  /** Names under which values can be evicted together. */
  readonly tags?: (params: Params, value: Value) => readonly string[]
  /** Reads that begin after a `write` of Tidemark has returned, on any node, see it. Writes announce themselves and wait; see docs/cache.md. */
  readonly linearizable?: boolean
  /** When `load` takes longer, a value that may be answered as stale is. Default: never. */
  readonly softTimeout?: number | string
  /** When `load` takes longer it is given up: TM_CACHE_LOAD_TIMEOUT. Default 10 s. */
  readonly hardTimeout?: number | string
  /** Encrypts values in Redis. Default false. */
  readonly encrypted?: boolean
  /** Keeps values out of Redis. Default false. */
  readonly memoryOnly?: boolean
}

/** An entry as it is defined; made by `cached`. It holds nothing yet. */
export interface CacheDefinition<Params, Value> {
  readonly template: string
  readonly options: EntryOptions<Params, Value>
}

/** Where an answer came from. `stale`: older than it should be, since Postgres did not answer, or while a new one is loaded. */
export type AnswerSource = 'memory' | 'redis' | 'load' | 'stale'

export interface Answer<Value> {
  readonly value: Value
  readonly source: AnswerSource
  /** Milliseconds since it was read from Postgres; 0 for `load`. */
  readonly ageMs: number
}

export interface GetOptions {
  /** The read sees at least everything up to here: a position that `write` gave, or a `Tidemark-Position` header. */
  readonly after?: Position
  /** Read by this transaction and nothing else: it sees its own writes, and nothing is kept. */
  readonly tx?: LoadClient
  readonly signal?: AbortSignal
}

/** One family of keys. Values are frozen: they are shared by all who read them. */
export interface CacheEntry<Params, Value> {
  /** Raises what `load` raises, TM_CACHE_LOAD_TIMEOUT, TM_CACHE_VALUE, TM_CACHE_KEY. */
  get(params: Params, options?: GetOptions): Promise<Value>
  /** Values in the order of the params: one round trip to Redis for all that memory lacks. */
  getMany(params: readonly Params[], options?: GetOptions): Promise<readonly Value[]>
  /** As `get`, and tells where the value came from and how old it is. */
  lookup(params: Params, options?: GetOptions): Promise<Answer<Value>>
  /** From memory or not at all; undefined where memory has nothing that may be answered. */
  peek(params: Params): Value | undefined
  /** On all nodes. */
  evict(params: Params): Promise<void>
  /** The whole name in Redis, with the prefix. */
  key(params: Params): string
}

export interface WriteOptions {
  /**
   * What the transaction touches, for entries that are `linearizable`: tables (`schema.table`) or single keys (`entry.key(params)`). Default: all
   * tables that linearizable entries follow.
   */
  readonly touches?: readonly string[]
  readonly signal?: AbortSignal
}

export interface Written<T> {
  readonly result: T
  /** For reads that have to see this write: `get(params, { after: position })`. */
  readonly position: Position
}

/** What the cache asks of the feed. */
export interface CacheFeed {
  /** Milliseconds since the cache was proven to have applied everything; Infinity where it never was. */
  freshness(): number
  /** Everything up to here is applied. */
  position(): Position | null
  /** Raises TM_FEED_TIMEOUT, TM_FEED_EPOCH. */
  waitFor(position: Position, options: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<void>
  /** What is in Redis is of this epoch or void; null while Redis may not be asked. */
  redisEpoch(): string | null
}

/** Where loads read and writes write. */
export type CachePool = Pick<Pool, 'query' | 'withClient' | 'transaction'>

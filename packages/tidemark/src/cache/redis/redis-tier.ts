/** L2: values in Redis, under the documented names, each with its lease and fence beside it. */

/** A value as Redis has it. */
export interface RedisValue {
  readonly value: unknown
  /** True where it came as JSON. */
  readonly plain: boolean
  /** Of this value among all that ever stood under the key: see {@link RedisTier.lease}. */
  readonly id: string
  /** Bytes of the frame. */
  readonly bytes: number
  /** Milliseconds since it was read from Postgres, by the clock of the node that did. Never below 0. */
  readonly ageMs: number
  /** Milliseconds that are left until it is no longer fresh; below 0 where it is past that. */
  readonly freshForMs: number
  /** Milliseconds that are left until it is no longer kept. */
  readonly keptForMs: number
  /** The number of the position that the loading node had applied when the load began: later evictions of a tag or a table void it. */
  readonly asOf: bigint
  readonly tags: readonly string[]
}

/** A value to be stored. */
export interface NewValue {
  readonly value: unknown
  /** True where JSON brings it back as it is: no dates, big integers, bytes, maps, nor anything else that JSON changes or drops. */
  readonly plain: boolean
  /** Milliseconds since it was read from Postgres. Default 0. */
  readonly ageMs?: number
  readonly freshForMs: number
  readonly keptForMs: number
  readonly asOf: bigint
  readonly tags: readonly string[]
}

export type LeaseAnswer =
  /** `fences`: xids of changes that a snapshot has to see, as decimal text; mostly none. Where there are any, `fill` needs a stamp. */
  | { readonly state: 'granted'; readonly token: string; readonly fences: readonly string[] }
  /** Another loads. */
  | { readonly state: 'taken' }
  /** Redis has no room: load at once, nothing would be stored. */
  | { readonly state: 'full' }
  | { readonly state: 'found'; readonly found: RedisValue }

/** The snapshot that a load brings where fences stand. */
export interface LoadStamp {
  /** As `pg_current_snapshot()` writes it, taken in an earlier statement than the rows. */
  readonly snapshot: string
  /** Of a standby: a running transaction counts as visible there, so that only what is older than xmin is seen for sure. */
  readonly standby: boolean
}

/**
 * `refused`: the lease is gone, or a fence is not seen; the value may be old. `full`: Redis has no room. `unfit`: larger than a value may
 * be, past its time, or of a kind that cannot be written down.
 */
export type FillAnswer = 'stored' | 'refused' | 'full' | 'unfit'

export interface Purge {
  readonly key: string
  /** Of the change, as decimal text; null for an eviction that no change caused. */
  readonly xid: string | null
}

/** Raises TM_REDIS_* where Redis does not answer: the caller goes on without it. A damaged, foreign or unreadable value is a miss. */
export interface RedisTier {
  get(key: string, epoch: string): Promise<RedisValue | undefined>
  /** In the order of the keys, of which each is asked for once. One round trip. */
  getMany(keys: readonly string[], epoch: string): Promise<readonly (RedisValue | undefined)[]>
  /**
   * After a miss: the right to load, for `leaseMs`. `past`: the id of a value that the caller has seen and will not answer with (it is void,
   * or no longer fresh); any other that stands there by now is found.
   */
  lease(key: string, epoch: string, past?: string): Promise<LeaseAnswer>
  /**
   * Refused unless the lease stands and the stamp sees every fence; the lease is given back in either case. `epoch` is the one the lease was
   * taken with: a newer one would bring a load of before to life. Raises TM_FEED_PROTOCOL for a stamp that is none.
   */
  fill(key: string, epoch: string, token: string, value: NewValue, stamp: LoadStamp | null): Promise<FillAnswer>
  /** Gives a lease back without a value. */
  release(key: string, token: string): Promise<void>
  /** Takes values and leases away and leaves fences. In one go; all or raises. */
  purge(purges: readonly Purge[]): Promise<void>
  /** How long a load may take to be stored. */
  readonly leaseMs: number
}

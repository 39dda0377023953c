/** This node among those that answer linearizable entries: announced in Postgres, so that writes wait for it; renewed, or it stops answering. */
import { randomUUID } from 'node:crypto'
import { reasonOf } from '../../errors.js'
import { columnValue, type TransactionPiece, tableName } from '../../feed/feed.js'
import type { Logger } from '../../observability/observability.js'
import type { Clock } from '../../time/clock.js'
import type { CachePool } from '../cache.js'
import type { ChangeListener } from '../follow/cache-follower.js'

const nodesTable = 'tidemark.cache_nodes'
const leaseMs = 15_000
const renewEveryMs = 4_000
/** Clocks of two machines run at different speeds. */
const marginMs = 2_000
const retryMs = 500

export interface MembershipOptions {
  readonly pool: CachePool
  readonly clock: Clock
  readonly log: Logger
}

export class Membership implements ChangeListener {
  readonly tables = [nodesTable]
  readonly node = randomUUID()
  readonly #options: MembershipOptions
  readonly #stopping = new AbortController()
  #validUntilMs = Number.NEGATIVE_INFINITY
  /** Until a proof of this time has come, intents from before it was a member may be on their way. */
  #joinedAtMs = Number.POSITIVE_INFINITY
  #hasJoined = false
  /** As the feed told it last. */
  #leaseUntil: number | undefined
  #running: Promise<void> | undefined
  /** How often it had to leave: a join that was on its way then is none. */
  #leaves = 0
  #pause = new AbortController()

  constructor(options: MembershipOptions) {
    this.#options = options
  }

  /** Whether a write that has returned must have been heard of here. */
  get isMember(): boolean {
    return this.#hasJoined && this.#options.clock.monotonicMs() < this.#validUntilMs
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#pause.abort()
    await this.#running
    this.#hasJoined = false
    await this.#options.pool.query('delete from tidemark.cache_nodes where node = $1', [this.node]).catch(() => undefined)
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      let pauseMs = renewEveryMs
      try {
        await (this.isMember || this.#joinedAtMs < Number.POSITIVE_INFINITY ? this.#renew() : this.#join())
      } catch (error) {
        log.debug('this node is not a member of the cache', { reason: reasonOf(error) })
        pauseMs = retryMs
      }
      if (signal.aborted) return
      await clock.sleep(pauseMs, this.#pause.signal).catch(() => undefined)
      this.#pause = new AbortController()
    }
  }

  /** The lock lets writes end that did not know of this node: what they announced is before the commit, and so heard of before the proof. */
  async #join(): Promise<void> {
    const { pool, clock } = this.#options
    const [beganMs, leaves] = [clock.monotonicMs(), this.#leaves]
    this.#hasJoined = false
    await pool.transaction(async (tx) => {
      await tx.query('lock table tidemark.cache_intents in share mode')
      await tx.query(
        `insert into tidemark.cache_nodes (node, lease_until) values ($1, clock_timestamp() + $2 * interval '1 ms')
         on conflict (node) do update set lease_until = excluded.lease_until`,
        [this.node, leaseMs],
      )
    })
    // What the feed tells after a reset need not hold this join, nor then a lease that somebody cut short.
    if (leaves !== this.#leaves) return
    this.#validUntilMs = beganMs + leaseMs - marginMs
    this.#joinedAtMs = clock.monotonicMs()
  }

  async #renew(): Promise<void> {
    const { pool, clock } = this.#options
    const beganMs = clock.monotonicMs()
    const { rowCount } = await pool.query(
      `update tidemark.cache_nodes set lease_until = clock_timestamp() + $2 * interval '1 ms'
        where node = $1 and lease_until > clock_timestamp() + $3 * interval '1 ms'`,
      [this.node, leaseMs, leaseMs - renewEveryMs * 2 - marginMs],
    )
    if (rowCount === 1) this.#validUntilMs = beganMs + leaseMs - marginMs
    else this.#leave()
  }

  #leave(): void {
    this.#leaves++
    this.#hasJoined = false
    this.#joinedAtMs = Number.POSITIVE_INFINITY
    this.#validUntilMs = Number.NEGATIVE_INFINITY
  }

  /** Somebody waited for this node in vain and does so no more. */
  async apply({ changes }: TransactionPiece): Promise<void> {
    for (const { kind, relation, old, new: row } of changes) {
      if (tableName(relation) !== nodesTable) continue
      if (kind === 'changed' || kind === 'truncate') this.#leave()
      const isOwn = columnValue(relation, row ?? old, 'node') === this.node
      if (!isOwn) continue
      const until = Date.parse(columnValue(relation, row, 'lease_until') ?? '')
      const previous = this.#leaseUntil
      if (kind === 'delete' || (previous !== undefined && until < previous)) this.#leave()
      this.#leaseUntil = Number.isNaN(until) ? undefined : until
    }
  }

  async reset(): Promise<void> {
    this.#leave()
    this.#pause.abort()
  }

  fresh(asOf: number): void {
    if (asOf >= this.#joinedAtMs) this.#hasJoined = true
  }
}

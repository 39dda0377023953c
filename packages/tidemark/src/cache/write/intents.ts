/**
 * Linearizable writes: who is about to commit says so first, and waits until no node answers from a cache what it touches. Told by rows that
 * the feed carries, so that a node which is proven fresh has heard of them; acknowledged over Redis, so that the wait is short.
 *
 *   writer   announce ─────────► every live node holds the names, acknowledges
 *            commit, with its end ─► each node drops what changed, and lets go
 */
import { randomUUID } from 'node:crypto'
import { isTidemarkError, reasonOf, TidemarkError } from '../../errors.js'
import { columnValue, type TransactionPiece, tableName } from '../../feed/feed.js'
import { parseArrayText } from '../../feed/follow/array-text.js'
import type { Logger } from '../../observability/observability.js'
import type { Redis } from '../../redis/redis.js'
import type { Clock } from '../../time/clock.js'
import type { CachePool, LoadClient } from '../cache.js'
import type { ChangeListener } from '../follow/cache-follower.js'

const [intentsTable, endsTable] = ['tidemark.cache_intents', 'tidemark.cache_ends']

/** An intent whose writer has not begun its transaction after so long will never come to its end by itself; sooner where its node is gone. */
const [abandonedMs, orphanedMs] = [60_000, 10_000]
/** After so long it is asked again whether acknowledgements may be heard. */
const listenAgainMs = 1_000

export interface IntentsOptions {
  readonly node: string
  readonly pool: CachePool
  readonly redis: Redis | null
  /** Where acknowledgements are told. */
  readonly channel: string
  /** A node that did not acknowledge for so long is not proven fresh any more, or has heard. */
  readonly maxSilenceMs: number
  readonly clock: Clock
  readonly log: Logger
  /** A name is held: what is under way may not be kept. */
  readonly onHeld: (touches: readonly string[]) => void
}

interface Waiting {
  readonly nodes: Set<string>
  readonly done: () => void
}

export interface Intent {
  readonly id: string
}

export class Intents implements ChangeListener {
  readonly tables = [intentsTable, endsTable]
  readonly #options: IntentsOptions
  readonly #held = new Map<string, readonly string[]>()
  /** How many intents hold a name. */
  readonly #names = new Map<string, number>()
  readonly #waiting = new Map<string, Waiting>()
  /** Acknowledgements that came before the writer knew whom to wait for. */
  readonly #early = new Map<string, Set<string>>()
  /** Held ones that the table did not have any more at this time of the monotonic clock: their end is among the changes up to it. */
  readonly #leaving = new Map<string, number>()
  /** Their end was told by a piece of a transaction of which more is to come. */
  readonly #ending = new Set<string>()
  readonly #stopping = new AbortController()
  #unsubscribe: (() => Promise<void>) | undefined

  constructor(options: IntentsOptions) {
    this.#options = options
  }

  /** Resolves once acknowledgements are heard, or never will be. */
  async start(): Promise<void> {
    const { redis, channel, log, clock } = this.#options
    const { signal } = this.#stopping
    if (redis === null || redis.driver !== 'tcp') return
    for (let hasFailed = false; !signal.aborted && !this.#unsubscribe; hasFailed = true) {
      if (hasFailed) await clock.sleep(listenAgainMs, signal).catch(() => undefined)
      this.#unsubscribe = await redis
        .subscribe([channel], (message) => this.#acknowledged(message))
        .catch((error: unknown) => {
          const reason = reasonOf(error)
          if (!hasFailed) log.warn('acknowledgements of other nodes are not heard; linearizable writes wait longer', { reason })
          return undefined
        })
    }
    if (signal.aborted) await this.stop()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#unsubscribe?.().catch(() => undefined)
  }

  /** Whether a write that touches one of the names is under way. */
  isHeld(names: Iterable<string>): boolean {
    if (this.#names.size === 0) return false
    for (const name of names) if (this.#names.has(name)) return true
    return false
  }

  get count(): number {
    return this.#held.size
  }

  /** Tells all nodes, and waits until each live one holds the names. */
  async announce(touches: readonly string[], signal?: AbortSignal): Promise<Intent> {
    const { pool, node, clock, maxSilenceMs } = this.#options
    const id = randomUUID()
    const nodes = new Set<string>()
    const waiting = new Promise<void>((done) => this.#waiting.set(id, { nodes, done }))
    try {
      const { rows } = await pool.query<{ nodes: readonly string[] }>(
        `with made as (insert into tidemark.cache_intents (id, node, touches) values ($1, $2, $3))
         select array(select node from tidemark.cache_nodes where lease_until > clock_timestamp()) as nodes`,
        [id, node, touches],
      )
      const toldAtMs = clock.monotonicMs()
      for (const each of rows[0]!.nodes) nodes.add(each)
      for (const each of this.#early.get(id) ?? []) nodes.delete(each)
      if (nodes.size > 0) await this.#wait(waiting, toldAtMs + maxSilenceMs * 1.2, signal)
      if (nodes.size > 0) await this.#leaveOut([...nodes])
      return { id }
    } catch (error) {
      await this.withdraw({ id })
      throw error
    } finally {
      this.#waiting.delete(id)
      this.#early.delete(id)
    }
  }

  async #wait(waiting: Promise<void>, untilMs: number, signal?: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const over = new AbortController()
    const late = clock.sleep(
      Math.max(0, untilMs - clock.monotonicMs()),
      signal ? AbortSignal.any([signal, over.signal]) : over.signal,
    )
    try {
      await Promise.race([waiting, late])
    } finally {
      late.catch(() => undefined)
      over.abort()
    }
  }

  /** Nodes that did not answer are waited for a little longer by whoever comes next, and then no more, until they come back. */
  async #leaveOut(nodes: readonly string[]): Promise<void> {
    const { pool, maxSilenceMs, log } = this.#options
    log.warn('nodes of the cache do not acknowledge a write', { nodes: nodes.join(', ') })
    await pool.query(
      `update tidemark.cache_nodes set lease_until = least(lease_until, clock_timestamp() + $2 * interval '1 ms') where node = any ($1)`,
      [nodes, maxSilenceMs * 1.5],
    )
  }

  /** The first statement of the write's transaction: its end is told with what it did. Raises TM_CACHE_INTENT. */
  async end(tx: LoadClient, { id }: Intent): Promise<void> {
    try {
      await tx.query('insert into tidemark.cache_ends (intent) values ($1)', [id])
    } catch (error) {
      throw new TidemarkError('TM_CACHE_INTENT', { reason: reasonOf(error) }, { cause: error })
    }
  }

  /** The write will not come. Waits for a transaction of it that may still be at work. */
  async withdraw({ id }: Intent): Promise<void> {
    const { pool, log } = this.#options
    await pool
      .query('insert into tidemark.cache_ends (intent) values ($1) on conflict do nothing', [id])
      .catch((error: unknown) => log.warn('a write that failed could not be called off yet', { reason: reasonOf(error) }))
  }

  async apply({ changes, last }: TransactionPiece): Promise<void> {
    for (const { kind, relation, new: row } of changes) {
      const table = tableName(relation)
      if (table !== intentsTable && table !== endsTable) continue
      // A transaction so large that only the fact is told.
      if (kind === 'changed' || kind === 'truncate') await this.#readAll()
      else if (kind === 'insert' && table === endsTable) this.#ending.add(columnValue(relation, row, 'intent') ?? '')
      else if (kind === 'insert') {
        const id = columnValue(relation, row, 'id') ?? ''
        this.#hold(id, (parseArrayText(columnValue(relation, row, 'touches') ?? '{}') ?? []).map(String))
        this.#acknowledge(id)
      }
    }
    // The end stands first in its transaction: what that changed may be in later pieces, and is held until then.
    if (!last) return
    for (const id of this.#ending) this.#release(id)
    this.#ending.clear()
  }

  async reset(): Promise<void> {
    this.#ending.clear()
    await this.#readAll()
  }

  fresh(asOf: number): void {
    for (const [id, atMs] of this.#leaving) if (asOf >= atMs) this.#release(id)
  }

  /** What stands in the tables: for whoever may have missed something. */
  async #readAll(): Promise<void> {
    const { pool, clock } = this.#options
    const { rows } = await pool.query<{ id: string; touches: readonly string[] }>(
      'select id, touches from tidemark.cache_intents where not exists (select from tidemark.cache_ends where intent = id)',
    )
    const standing = new Set(rows.map(({ id }) => id))
    for (const { id, touches } of rows) this.#hold(id, touches)
    for (const id of this.#held.keys()) if (!standing.has(id)) this.#leaving.set(id, clock.monotonicMs())
  }

  #hold(id: string, touches: readonly string[]): void {
    if (this.#held.has(id)) return
    this.#held.set(id, touches)
    for (const name of touches) this.#names.set(name, (this.#names.get(name) ?? 0) + 1)
    this.#options.onHeld(touches)
  }

  #release(id: string): void {
    for (const name of this.#held.get(id) ?? []) {
      const left = (this.#names.get(name) ?? 1) - 1
      if (left > 0) this.#names.set(name, left)
      else this.#names.delete(name)
    }
    this.#held.delete(id)
    this.#leaving.delete(id)
  }

  #acknowledge(id: string): void {
    const { redis, channel, node } = this.#options
    if (this.#waiting.has(id)) this.#acknowledged(`${id} ${node}`)
    else redis?.command(['PUBLISH', channel, `${id} ${node}`]).catch(() => undefined)
  }

  #acknowledged(message: string): void {
    const [id = '', node = ''] = message.split(' ')
    const waiting = this.#waiting.get(id)
    if (!waiting) return
    if (!waiting.nodes.delete(node)) {
      this.#early.set(id, (this.#early.get(id) ?? new Set()).add(node))
      return
    }
    if (waiting.nodes.size === 0) waiting.done()
  }

  /** Ends intents whose writers are gone, and forgets old rows. Never waits for a transaction that is at work. */
  async tidy(): Promise<void> {
    const { pool } = this.#options
    const { rows } = await pool.query<{ id: string }>(
      `select id from tidemark.cache_intents i where not exists (select from tidemark.cache_ends where intent = id)
          and announced_at < clock_timestamp() - interval '1 ms' *
              case when exists (select from tidemark.cache_nodes n where n.node = i.node and lease_until > clock_timestamp()) then $1::float8 else $2 end`,
      [abandonedMs, orphanedMs],
    )
    for (const { id } of rows) await this.#endAbandoned(id)
    await pool.query(
      `with old as (delete from tidemark.cache_ends where ended_at < now() - interval '10 minutes' returning intent)
       delete from tidemark.cache_intents using old where id = old.intent`,
    )
    await pool.query(`delete from tidemark.cache_evictions where created_at < now() - interval '1 hour'`)
  }

  async #endAbandoned(id: string): Promise<void> {
    const { pool } = this.#options
    const work = (tx: LoadClient) => tx.query('insert into tidemark.cache_ends (intent) values ($1) on conflict do nothing', [id])
    await pool.transaction(work, { settings: { lock_timeout: '100ms' } }).catch((error: unknown) => {
      // Its transaction is at work.
      if (!isTidemarkError(error)) throw error
    })
  }
}

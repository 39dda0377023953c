import { createHash, randomUUID } from 'node:crypto'
import { reasonOf } from '../../../errors.js'
import { formatPosition, type Position, parsePosition } from '../../../feed/position.js'
import { type Logger, silentLogger } from '../../../observability/observability.js'
import type { Pool } from '../../../postgres/postgres.js'
import { type Clock, systemClock } from '../../../time/clock.js'
import { arrayLiteral } from '../filters/filter-sql.js'

export interface CursorStoreOptions {
  readonly pool: Pick<Pool, 'query'>
  /** For so long a cursor is kept after its socket has ended. */
  readonly keptMs: number
  /** How often what has changed is written. Default 1,000. */
  readonly writeMs?: number
  readonly clock?: Clock
  readonly log?: Logger
}

/** The place of one channel of one client, while its socket lives. */
export interface Cursor {
  /** Everything told up to here has reached the client. */
  move(position: Position): void
  /** `mayReturn`: it is remembered for whoever comes back under the name; else it is forgotten. */
  close(mayReturn: boolean): void
}

/**
 * Cursors of clients that do not say themselves where they were. They live in Postgres, which is the truth and without which no changes come;
 * Redis may be away, and forgets. A new one is written before its client is told that it listens; from then on positions are written together,
 * about once a second. What a killed server had not written yet is told again: a cursor is never ahead of its client.
 */
export interface CursorStore {
  /** Raises TM_POSTGRES_*. */
  open(name: string, position: Position): Promise<Cursor>
  /**
   * The positions that are remembered under a name, of sockets that still seem to live as well. One that was cut off counts as come back: the
   * last of them, since whoever comes back goes on after the first. Raises TM_POSTGRES_*.
   */
  recall(name: string): Promise<readonly Position[]>
  stop(): Promise<void>
}

interface Held {
  readonly key: string
  readonly member: string
  position: Position
  cut: boolean
  dirty: boolean
  seenAt: number
}

const digest = (name: string): string => createHash('sha256').update(name).digest('base64url')

const upsertSql = `
  insert into tidemark.realtime_cursors (key, member, position, cut, seen_at)
  select k, m, p, c, now() from unnest($1::text[], $2::uuid[], $3::text[], $4::bool[]) as u (k, m, p, c)
  on conflict (key, member) do update set position = excluded.position, cut = excluded.cut, seen_at = excluded.seen_at`
const findSql = `
  select member::text, position, cut from tidemark.realtime_cursors
   where key = $1 and seen_at >= now() - make_interval(secs => $2::float8 / 1000)`
const deleteSql = 'delete from tidemark.realtime_cursors where key = $1 and member = $2::uuid'
const forgetSql = 'delete from tidemark.realtime_cursors where seen_at < now() - make_interval(secs => $1::float8 / 1000)'

interface FoundRow {
  readonly member: string
  readonly position: string
  readonly cut: boolean
}

const maxBatch = 5_000

class PostgresCursors implements CursorStore {
  readonly #options: CursorStoreOptions
  readonly #clock: Clock
  readonly #log: Logger
  /** By member. */
  readonly #held = new Map<string, Held>()
  readonly #stopping = new AbortController()
  readonly #writing: Promise<void>
  #forgotAt = Number.NEGATIVE_INFINITY
  #opening: Promise<void> | undefined

  constructor(options: CursorStoreOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
    this.#writing = this.#keepWriting()
  }

  async open(name: string, position: Position): Promise<Cursor> {
    const held: Held = {
      key: digest(name),
      member: randomUUID(),
      position,
      cut: false,
      dirty: true,
      seenAt: this.#clock.monotonicMs(),
    }
    this.#held.set(held.member, held)
    try {
      await this.#writeTogether()
    } catch (error) {
      this.#held.delete(held.member)
      throw error
    }
    return {
      move: (to) => this.#move(held, to),
      close: (mayReturn) => this.#close(held, mayReturn),
    }
  }

  async recall(name: string): Promise<readonly Position[]> {
    const key = digest(name)
    const found = await this.#options.pool.query<FoundRow>(findSql, [key, this.#options.keptMs], { idempotent: true })
    const positions = new Map(found.rows.map(({ member, position, cut }) => [member, { position: parsePosition(position), cut }]))
    // What is known here is newer than what is written.
    for (const held of this.#held.values()) if (held.key === key) positions.set(held.member, held)
    let last: { readonly member: string; readonly number: bigint } | undefined
    for (const [member, { position, cut }] of positions) {
      if (cut && (last === undefined || position.number > last.number)) last = { member, number: position.number }
    }
    if (last) await this.#delete(key, last.member)
    return [...positions.values()].map(({ position }) => position)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#writing
    await this.#write().catch((error: unknown) =>
      this.#log.warn('where clients were is not written', { reason: reasonOf(error) }),
    )
  }

  #move(held: Held, { epoch, number }: Position): void {
    if (held.position.epoch === epoch && held.position.number >= number) return
    held.position = { epoch, number }
    held.dirty = true
  }

  #close(held: Held, mayReturn: boolean): void {
    if (mayReturn) {
      held.cut = true
      held.dirty = true
      return
    }
    void this.#delete(held.key, held.member).catch((error: unknown) => {
      this.#log.debug('a place that nobody comes back to is forgotten later', { reason: reasonOf(error) })
    })
  }

  async #delete(key: string, member: string): Promise<void> {
    this.#held.delete(member)
    await this.#options.pool.query(deleteSql, [key, member], { idempotent: true })
  }

  /** Many that come at once are written at once. */
  #writeTogether(): Promise<void> {
    this.#opening ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      this.#opening = undefined
      return this.#write()
    })
    return this.#opening
  }

  async #keepWriting(): Promise<void> {
    const { signal } = this.#stopping
    const { writeMs = 1_000 } = this.#options
    while (!signal.aborted) {
      await this.#clock.sleep(writeMs, signal).catch(() => undefined)
      if (signal.aborted) return
      try {
        this.#refresh()
        await this.#write()
        await this.#forget()
      } catch (error) {
        this.#log.debug('where clients were is not written; it is tried again', { reason: reasonOf(error) })
      }
    }
  }

  async #write(): Promise<void> {
    const due = [...this.#held.values()].filter(({ dirty }) => dirty)
    for (let from = 0; from < due.length; from += maxBatch) {
      const batch = due.slice(from, from + maxBatch)
      const columns = [
        batch.map(({ key }) => key),
        batch.map(({ member }) => member),
        batch.map(({ position }) => formatPosition(position)),
        batch.map(({ cut }) => String(cut)),
      ]
      for (const held of batch) held.dirty = false
      try {
        await this.#options.pool.query(upsertSql, columns.map(arrayLiteral), { idempotent: true })
      } catch (error) {
        for (const held of batch) held.dirty = true
        throw error
      }
      const now = this.#clock.monotonicMs()
      for (const held of batch) {
        held.seenAt = now
        // From now on the row alone remembers it.
        if (held.cut && !held.dirty) this.#held.delete(held.member)
      }
    }
  }

  /** Those of live sockets are not to be forgotten however quiet they are. */
  #refresh(): void {
    const before = this.#clock.monotonicMs() - this.#options.keptMs / 3
    for (const held of this.#held.values()) if (held.seenAt < before) held.dirty = true
  }

  async #forget(): Promise<void> {
    const { pool, keptMs } = this.#options
    const now = this.#clock.monotonicMs()
    if (now - this.#forgotAt < keptMs / 3) return
    this.#forgotAt = now
    await pool.query(forgetSql, [keptMs], { idempotent: true })
  }
}

/** Keeps cursors in the pool's database. */
export const createCursorStore = (options: CursorStoreOptions): CursorStore => new PostgresCursors(options)

import { createHash } from 'node:crypto'
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
  /** Where the channel goes on; undefined where none was remembered, or another live socket has it. */
  readonly position: Position | undefined
  /** Told so far and acknowledged, or where a new one begins. */
  move(position: Position): void
  /** The socket has ended: the next one of this name goes on here. */
  release(): void
}

/**
 * Cursors of clients that do not say themselves where they were. They live in Postgres, which is the truth and may not be away while changes come;
 * Redis may, and forgets. Positions are written together, about once a second and without waiting for the disk: what a killed server had not
 * written yet is told again.
 */
export interface CursorStore {
  /** `isAlive`: whether the client that takes it answers, should another one ask for the same name later. */
  take(name: string, isAlive?: IsAlive): Promise<Cursor>
  stop(): Promise<void>
}

/** Asks a client whether it is still there: its socket may be open for nobody. */
export type IsAlive = () => Promise<boolean>

interface Held {
  readonly key: string
  readonly isAlive: IsAlive
  position: Position
  writtenAt: number
  dirty: boolean
  live: boolean
}

const nowhere: Position = { epoch: '', number: 0n }
/** Live clients that may have one name. */
const maxPlaces = 16

const digest = (name: string): string => createHash('sha256').update(name).digest('base64url')

const upsertSql = `
  insert into tidemark.realtime_cursors (key, position, seen_at)
  select k, p, now() from unnest($1::text[], $2::text[]) as u (k, p)
  on conflict (key) do update set position = excluded.position, seen_at = excluded.seen_at`
const forgetSql = `delete from tidemark.realtime_cursors where seen_at < now() - make_interval(secs => $1::float8 / 1000)`
const findSql = `
  select position from tidemark.realtime_cursors where key = $1 and seen_at >= now() - make_interval(secs => $2::float8 / 1000)`

const maxBatch = 5_000

class PostgresCursors implements CursorStore {
  readonly #options: CursorStoreOptions
  readonly #clock: Clock
  readonly #log: Logger
  readonly #held = new Map<string, Held>()
  readonly #stopping = new AbortController()
  readonly #writing: Promise<void>
  #forgotAt = Number.NEGATIVE_INFINITY

  constructor(options: CursorStoreOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
    this.#writing = this.#keepWriting()
  }

  async take(name: string, isAlive: IsAlive = async () => false): Promise<Cursor> {
    for (let place = 0; place < maxPlaces; place += 1) {
      const key = digest(`${name}#${place}`)
      const before = this.#held.get(key)
      // Two tabs of one browser ask for the same: each gets a place of its own.
      if (before?.live && (await before.isAlive())) continue
      // Somebody else may have come meanwhile.
      if (this.#held.get(key) === before) return this.#hold(key, before, isAlive)
      place -= 1
    }
    return { position: undefined, move: () => {}, release: () => {} }
  }

  async #hold(key: string, before: Held | undefined, isAlive: IsAlive): Promise<Cursor> {
    const held: Held = { key, position: nowhere, writtenAt: this.#clock.monotonicMs(), dirty: false, live: true, isAlive }
    this.#held.set(key, held)
    try {
      const position = before && before.position !== nowhere ? before.position : await this.#find(key)
      if (position) held.position = position
      return {
        position,
        move: (to) => this.#move(held, to),
        release: () => {
          held.live = false
          held.dirty = held.position !== nowhere
          if (!held.dirty && this.#held.get(key) === held) this.#held.delete(key)
        },
      }
    } catch (error) {
      if (before) this.#held.set(key, { ...before, live: false })
      else this.#held.delete(key)
      throw error
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#writing
    for (const held of this.#held.values()) held.dirty ||= held.position !== nowhere
    await this.#write().catch((error: unknown) =>
      this.#log.warn('where clients were is not written', { reason: reasonOf(error) }),
    )
  }

  async #find(key: string): Promise<Position | undefined> {
    const { pool, keptMs } = this.#options
    const { rows } = await pool.query<{ position: string }>(findSql, [key, keptMs], { idempotent: true })
    return rows[0] && parsePosition(rows[0].position)
  }

  #move(held: Held, { epoch, number }: Position): void {
    if (held.position.epoch === epoch && held.position.number >= number) return
    held.position = { epoch, number }
    held.dirty = true
  }

  async #keepWriting(): Promise<void> {
    const { signal } = this.#stopping
    const { writeMs = 1_000 } = this.#options
    while (!signal.aborted) {
      await this.#clock.sleep(writeMs, signal).catch(() => undefined)
      if (signal.aborted) return
      try {
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
      for (const held of batch) held.dirty = false
      try {
        const keys = arrayLiteral(batch.map(({ key }) => key))
        const positions = arrayLiteral(batch.map(({ position }) => formatPosition(position)))
        await this.#options.pool.query(upsertSql, [keys, positions], { idempotent: true })
      } catch (error) {
        for (const held of batch) held.dirty = true
        throw error
      }
      for (const held of batch) if (!held.live && !held.dirty && this.#held.get(held.key) === held) this.#held.delete(held.key)
    }
  }

  /** Live ones are told to be seen now and then; the others go when their time has come. */
  async #forget(): Promise<void> {
    const { pool, keptMs } = this.#options
    const now = this.#clock.monotonicMs()
    for (const held of this.#held.values()) {
      if (held.live && held.position !== nowhere && now - held.writtenAt > keptMs / 3) {
        held.dirty = true
        held.writtenAt = now
      }
    }
    if (now - this.#forgotAt < keptMs / 3) return
    this.#forgotAt = now
    await pool.query(forgetSql, [keptMs], { idempotent: true })
  }
}

/** Keeps cursors in the pool's database. */
export const createCursorStore = (options: CursorStoreOptions): CursorStore => new PostgresCursors(options)

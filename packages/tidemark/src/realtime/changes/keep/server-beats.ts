import { randomUUID } from 'node:crypto'
import type { Pool } from '../../../postgres/postgres.js'
import type { Clock } from '../../../time/clock.js'

export interface ServerBeatsOptions {
  readonly pool: Pick<Pool, 'query'>
  readonly clock: Clock
  /** Silent for longer, a server is gone. */
  readonly silentMs: number
  readonly signal: AbortSignal
}

interface BeatRow {
  readonly id: string
  readonly beat: string
  readonly silent: number
}

/** What whoever waits has seen of a server. */
interface Seen {
  readonly beat: string
  readonly sinceMs: number
  /** The next beat was begun after it was asked for. */
  readonly nextCounts: boolean
}

const beatSql = `
  insert into tidemark.realtime_servers (id, beat) values ($1::uuid, $2::bigint)
  on conflict (id) do update set beat = excluded.beat, seen_at = now()`
// While Postgres was not there nobody could beat.
const lookSql = `
  select id::text, beat::text, extract(epoch from now() - greatest(seen_at, pg_postmaster_start_time()))::float8 * 1000 as silent
    from tidemark.realtime_servers`
const leaveSql = 'delete from tidemark.realtime_servers where id = $1::uuid'
const forgetSql = 'delete from tidemark.realtime_servers where seen_at < now() - make_interval(secs => $1::float8 / 1000)'

const lookEveryMs = 100
/** A beat that comes so soon may have been under way when it was asked for. */
const underWayMs = 200

const isAnew = (row: BeatRow | undefined, seen: Seen | undefined, now: number): boolean =>
  row !== undefined && seen !== undefined && row.beat !== seen.beat && (seen.nextCounts || now - seen.sinceMs > underWayMs)

/**
 * The servers that share a database, by their beats. A beat says that what its server knew before is written; who falls silent was killed, or
 * cannot write.
 */
export class ServerBeats {
  readonly id = randomUUID()
  readonly #options: ServerBeatsOptions
  #beat = 0
  #beatenAtMs = Number.NEGATIVE_INFINITY
  /** Since then every beat of this server was taken: before, others may not have been able to beat either. */
  #reachableSinceMs = Number.NEGATIVE_INFINITY
  /** Since when Postgres has not taken what this server writes. */
  #failingSinceMs: number | undefined
  #nextLook: Promise<ReadonlyMap<string, BeatRow>> | undefined

  constructor(options: ServerBeatsOptions) {
    this.#options = options
  }

  get hasBeaten(): boolean {
    return this.#beat > 0
  }

  /** For so long the others may have been silent without being gone: longer while Postgres has just come back. */
  get patienceMs(): number {
    const { clock, silentMs } = this.#options
    const isBack = this.#failingSinceMs === undefined && clock.monotonicMs() - this.#reachableSinceMs > silentMs
    return isBack ? silentMs : 3_600_000
  }

  /** True where others may have taken this server for gone since its last beat. Raises TM_POSTGRES_*. */
  async beat(): Promise<boolean> {
    const { pool, clock } = this.#options
    try {
      await pool.query(beatSql, [this.id, String(this.#beat + 1)], { idempotent: true })
    } catch (error) {
      this.failed()
      throw error
    }
    const wasSilent = this.mayBeTakenForGone
    this.#beat += 1
    const now = clock.monotonicMs()
    if (this.#failingSinceMs !== undefined) this.#reachableSinceMs = now
    this.#failingSinceMs = undefined
    this.#beatenAtMs = now
    return wasSilent
  }

  /** Something that was to be written was not. */
  failed(): void {
    this.#failingSinceMs ??= this.#options.clock.monotonicMs()
  }

  /** Whether this server has been silent for so long that others may have taken what it holds; while Postgres is away nobody can. */
  get mayBeTakenForGone(): boolean {
    const { clock, silentMs } = this.#options
    return this.#beat > 0 && (this.#failingSinceMs ?? clock.monotonicMs()) - this.#beatenAtMs > silentMs
  }

  /**
   * Resolves when each of the servers has beaten anew or is gone, and gives those that are gone. What the others knew when it was called is
   * written by then. Raises TM_POSTGRES_*.
   */
  async heard(servers: Iterable<string>): Promise<ReadonlySet<string>> {
    const { clock, signal } = this.#options
    const silentMs = this.#silentForMs
    const waitingFor = new Map<string, Seen | undefined>()
    for (const id of servers) waitingFor.set(id, undefined)
    const gone = new Set<string>()
    const until = clock.monotonicMs() + silentMs + 2 * underWayMs
    while (waitingFor.size > 0 && !signal.aborted) {
      const rows = await this.#look()
      const now = clock.monotonicMs()
      for (const [id, seen] of waitingFor) {
        const row = rows.get(id)
        // Who did not beat all the while is gone, however short Postgres has been there.
        const isStill = row !== undefined && row.beat === seen?.beat && now - seen.sinceMs > silentMs
        if (!row || isStill || row.silent > silentMs) gone.add(id)
        if (gone.has(id) || isAnew(row, seen, now)) waitingFor.delete(id)
        else if (row && row.beat !== seen?.beat)
          waitingFor.set(id, { beat: row.beat, sinceMs: now, nextCounts: seen !== undefined })
      }
      if (now >= until) break
    }
    return gone
  }

  /** When Postgres has just come back, everybody connects at once, and on a busy machine that takes its time. */
  get #silentForMs(): number {
    const { clock, silentMs } = this.#options
    return clock.monotonicMs() - this.#reachableSinceMs < 4 * silentMs ? 2 * silentMs : silentMs
  }

  /** Whoever waits looks together with the others, soon. */
  #look(): Promise<ReadonlyMap<string, BeatRow>> {
    this.#nextLook ??= this.#lookSoon()
    return this.#nextLook
  }

  async #lookSoon(): Promise<ReadonlyMap<string, BeatRow>> {
    const { pool, clock, signal } = this.#options
    await clock.sleep(lookEveryMs, signal).catch(() => undefined)
    this.#nextLook = undefined
    const { rows } = await pool.query<BeatRow>(lookSql, [], { idempotent: true })
    const reachableMs = clock.monotonicMs() - this.#reachableSinceMs
    return new Map(rows.map((row) => [row.id, { ...row, silent: Math.min(row.silent, reachableMs) }]))
  }

  async forget(afterMs: number): Promise<void> {
    await this.#options.pool.query(forgetSql, [afterMs], { idempotent: true })
  }

  async leave(): Promise<void> {
    await this.#options.pool.query(leaveSql, [this.id], { idempotent: true })
  }
}

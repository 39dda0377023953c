/**
 * Rows that were found to differ, until a second look tells whether they do for good.
 *
 * `follow`: a row with an entry of the log behind what was applied is in flight, and its own later check looks at it again. The others are
 * looked at once more when the copy has come as far as the log went when they were found.
 *
 * `mirror`: the log grows only as the mirror writes, so what Postgres changed lately cannot be told from it. A row counts when the mirror
 * has passed everything that could be seen at the first look, and both sides are what they were then: a change in between is in flight.
 */
import { parsePosition } from '../../feed/position.js'
import type { Clock } from '../../time/clock.js'
import { type Key, packKey } from '../row-keys.js'
import type { CheckSession } from './check-session.js'
import type { CheckDirection, CheckPoint } from './checks.js'
import { idOf } from './link.js'
import type { TableCheck } from './table-check.js'
import type { Differing, RowName } from './table-comparer.js'

export type DifferingRows = ReadonlyMap<TableCheck, readonly Differing[]>

export interface Doubt {
  readonly rows: DifferingRows
  readonly foundAtMs: number
  /** Of the log, when they were found or could not be judged. */
  head: bigint
  /** Where Postgres was when all that the first look saw was on its disk. */
  flushed?: { readonly lsn: bigint; readonly position: string | null | undefined; readonly atMs: number }
}

/** A commit may be seen before it is on the disk, and only from there does the feed give it; so much later it is there. */
const flushMs = 1000
/** A mirror that has not moved for so long has nothing left to write. */
const stillMs = 10_000

const keyName = (key: Key): string => JSON.stringify(packKey(key))

export const countRows = (rows: DifferingRows): number => {
  let count = 0
  for (const some of rows.values()) count += some.length
  return count
}

/** The same, but for the rows of a table. */
export const withoutTable = (doubt: Doubt, table: TableCheck): Doubt => ({
  ...doubt,
  rows: new Map([...doubt.rows].filter(([of]) => of !== table)),
})

export class Doubts {
  readonly #direction: CheckDirection
  readonly #clock: Clock

  constructor(direction: CheckDirection, clock: Clock) {
    this.#direction = direction
    this.#clock = clock
  }

  /** After a first look; nothing where no row is left to doubt. */
  raise(session: CheckSession, found: DifferingRows, point: CheckPoint): Doubt | undefined {
    const rows = this.#direction === 'follow' ? (this.#settledOf(session, found, point) ?? found) : found
    if (countRows(rows) === 0) return undefined
    return { rows, foundAtMs: this.#clock.monotonicMs(), head: session.log.head }
  }

  /**
   * Notes where Postgres is, for all that were found long enough ago. Each is to be noted as soon as it can be, not when its turn comes: while
   * the application writes, the mirror takes a while to get there, and doubts would come faster than they go.
   */
  async note({ client }: CheckSession, doubts: readonly Doubt[], { mirroredPosition }: CheckPoint): Promise<void> {
    const now = this.#clock.monotonicMs()
    const due = doubts.filter(({ flushed, foundAtMs }) => !flushed && now - foundAtMs >= flushMs)
    if (this.#direction === 'follow' || due.length === 0) return
    const { rows } = await client.query<{ lsn: string }>("SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::text AS lsn")
    const flushed = { lsn: BigInt(rows[0]!.lsn), position: mirroredPosition, atMs: now }
    for (const doubt of due) doubt.flushed = flushed
  }

  /** The rows that differ for good; undefined while that cannot be told. */
  async judge(session: CheckSession, doubt: Doubt, point: CheckPoint): Promise<DifferingRows | undefined> {
    if (this.#direction === 'mirror' && !this.#isMirrored(doubt, point)) return undefined
    if (this.#direction === 'follow' && point.appliedSeq < doubt.head) return undefined
    const again = await lookAgain(session, doubt.rows)
    if (this.#direction === 'mirror') return unchanged(doubt.rows, again)
    const settled = this.#settledOf(session, again, point)
    if (!settled) doubt.head = session.log.head
    return settled
  }

  /** With the truth fenced and the copy at its head nothing is in flight: what differs twice, differs. */
  judgeNow(session: CheckSession, doubt: Doubt): Promise<DifferingRows> {
    return lookAgain(session, doubt.rows)
  }

  /** Without those in flight; undefined where too much is in flight to tell. */
  #settledOf(session: CheckSession, rows: DifferingRows, { appliedSeq }: CheckPoint): DifferingRows | undefined {
    const settled = new Map<TableCheck, readonly Differing[]>()
    for (const [table, some] of rows) {
      if (some.length === 0) continue
      const flying = session.log.inFlight(table.name, appliedSeq)
      if (!flying) return undefined
      const { reader } = table.comparer(session)
      const names = new Set<string>()
      for (const key of flying) {
        // An entry that does not tell its row may be about any.
        if (!key) return undefined
        names.add(keyName(key))
        const texts = reader.textsOf(key)
        if (texts) names.add(idOf(texts))
      }
      const isFlying = ({ key, texts }: RowName) => (texts && names.has(idOf(texts))) || (key && names.has(keyName(key)))
      settled.set(
        table,
        some.filter((row) => !isFlying(row)),
      )
    }
    return settled
  }

  #isMirrored({ flushed }: Doubt, { mirroredPosition }: CheckPoint): boolean {
    if (!flushed) return false
    if (mirroredPosition && parsePosition(mirroredPosition).number >= flushed.lsn) return true
    return mirroredPosition === flushed.position && this.#clock.monotonicMs() - flushed.atMs >= stillMs
  }
}

/** Compares rows once more. */
export const lookAgain = async (session: CheckSession, rows: DifferingRows): Promise<DifferingRows> => {
  const again = new Map<TableCheck, readonly Differing[]>()
  for (const [table, some] of rows) if (some.length > 0) again.set(table, await table.comparer(session).compare(some))
  return again
}

/** Those that are on both sides what they were. */
const unchanged = (before: DifferingRows, after: DifferingRows): DifferingRows =>
  new Map(
    Array.from(after, ([table, rows]) => {
      const seen = new Map(before.get(table)?.map((row) => [row.printed, row.seen]))
      return [table, rows.filter((row) => seen.get(row.printed) === row.seen)]
    }),
  )

import { createHash, randomUUID } from 'node:crypto'
import { reasonOf } from '../../../errors.js'
import type { Position } from '../../../feed/position.js'
import { type Logger, silentLogger } from '../../../observability/observability.js'
import type { Pool } from '../../../postgres/postgres.js'
import { type Clock, systemClock } from '../../../time/clock.js'
import { type CursorRow, type FoundCursor, findCursors, forgetCursors, nowhere, writeCursors } from './cursor-rows.js'
import { type HeldCursor, HeldCursors } from './held-cursors.js'
import { ServerBeats } from './server-beats.js'

export interface CursorStoreOptions {
  readonly pool: Pick<Pool, 'query'>
  /** For so long a cursor is kept after its socket has ended. */
  readonly keptMs: number
  /** How often what has changed is written, and the server shows that it lives. Default 1,000. */
  readonly writeMs?: number
  /** A server that shows no life for so long is gone. Default 3,000. */
  readonly silentMs?: number
  readonly clock?: Clock
  readonly log?: Logger
}

/** The place of one channel of one client, while its socket lives. */
export interface Cursor {
  /** Everything told up to here has reached the client. */
  move(position: Position): void
  /**
   * `mayReturn`: it is remembered for whoever comes back under the name; else it is forgotten. `number`: the highest that the client had given to
   * a message by then.
   */
  close(mayReturn: boolean, number?: number): void
}

/** What whoever comes back finds under its name. */
export interface Recalled {
  /** With an empty epoch where it is known only that there was one. */
  readonly positions: readonly Position[]
}

export interface NewCursor {
  /** Undefined: the client has to hear of a gap first. */
  readonly position: Position | undefined
  /** What the client numbers its join with. */
  readonly number?: number | undefined
  /** It comes back to this, and takes its place. */
  readonly recalled?: Recalled | undefined
}

/**
 * Cursors of clients that do not say themselves where they were. They live in Postgres, which is the truth and without which no changes come;
 * Redis may be away, and forgets. A new one is written before its client is told that it listens, in one with the end of the one that it comes
 * back to; from then on positions are written together, about once a second, and at once where a client is cut off. What a killed server had
 * not written yet is told again: a cursor is never ahead of its client.
 */
export interface CursorStore {
  /** Raises TM_POSTGRES_*. */
  open(name: string, cursor: NewCursor): Promise<Cursor>
  /**
   * What is remembered under a name, of sockets that still seem to live as well: of clients that had come to fewer than `number`. Waits for what
   * other servers have not written yet. Whoever comes back goes on after the first, and takes the place of the last that was cut off, or whose
   * server is gone. Raises TM_POSTGRES_*.
   */
  recall(name: string, number?: number): Promise<Recalled>
  stop(): Promise<void>
}

interface Place extends Pick<CursorRow, 'member' | 'position' | 'number'> {
  readonly mayBeTaken: boolean
}

class RecalledPlaces implements Recalled {
  readonly places: readonly Place[]

  constructor(places: readonly Place[]) {
    this.places = places
  }

  get positions(): readonly Position[] {
    return this.places.map(({ position }) => position)
  }
}

interface LetGo {
  readonly atMs: number
  /** Where it was cut off; undefined where it ended, or was taken. */
  readonly cut: HeldCursor | undefined
}

const digest = (name: string): string => createHash('sha256').update(name).digest('base64url')

const maxBatch = 5_000
/** Longer than anybody takes from asking where it was to having its place. */
const latelyMs = 60_000
/** For so long a client that was forgotten is told that it misses something. */
const knownMs = 3_600_000

class PostgresCursors implements CursorStore {
  readonly #options: Required<Omit<CursorStoreOptions, 'clock' | 'log'>>
  readonly #clock: Clock
  readonly #log: Logger
  readonly #beats: ServerBeats
  readonly #held = new HeldCursors()
  /** Of them those that are not written as they are. */
  readonly #dirty = new Set<HeldCursor>()
  /** Members whose places others have taken since, with their keys: they are taken out with the next writing. */
  readonly #gone = new Map<string, string>()
  /** Members that were let go of lately: whoever had asked Postgres before knows nothing of it, and may still be answered. */
  readonly #lately = new Map<string, LetGo>()
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>
  #forgotAt = Number.NEGATIVE_INFINITY
  #writing: Promise<void> = Promise.resolve()
  #nextWrite: Promise<void> | undefined
  #nextFind: { readonly keys: Set<string>; readonly found: Promise<ReadonlyMap<string, readonly FoundCursor[]>> } | undefined

  constructor({ clock = systemClock, log = silentLogger, writeMs = 1_000, silentMs = 3_000, ...options }: CursorStoreOptions) {
    this.#options = { ...options, writeMs, silentMs }
    this.#clock = clock
    this.#log = log
    this.#beats = new ServerBeats({ pool: options.pool, clock, silentMs, signal: this.#stopping.signal })
    this.#running = this.#keepWriting()
  }

  async open(name: string, { position = nowhere, number = 0, recalled }: NewCursor): Promise<Cursor> {
    const seenAt = this.#clock.monotonicMs()
    const held: HeldCursor = {
      key: digest(name),
      member: randomUUID(),
      position,
      number,
      state: 'live',
      isWritten: false,
      seenAt,
    }
    this.#held.add(held)
    this.#dirty.add(held)
    const before = recalled instanceof RecalledPlaces ? this.#take(held.key, recalled) : undefined
    try {
      // Nobody takes it for one that was left behind.
      if (!this.#beats.hasBeaten) await this.#beats.beat()
      await this.#write()
    } catch (error) {
      // It may have been written all the same: then this is the only place that its client has.
      this.closed(held, before !== undefined)
      throw error
    }
    return new OpenCursor(this, held)
  }

  /** The last place that is to be had: somebody else may have taken one since it was asked about. */
  #take(key: string, { places }: RecalledPlaces): string | undefined {
    let last: Place | undefined
    for (const place of places) {
      if (!place.mayBeTaken || this.#isOver(place)) continue
      if (last === undefined || place.position.number > last.position.number) last = place
    }
    if (!last) return undefined
    this.#gone.set(last.member, key)
    this.#lately.set(last.member, { atMs: this.#clock.monotonicMs(), cut: undefined })
    return last.member
  }

  /** Taken or ended since somebody asked. */
  #isOver({ member }: Pick<Place, 'member'>): boolean {
    const late = this.#lately.get(member)
    return this.#gone.has(member) || (late !== undefined && late.cut === undefined)
  }

  /** What was cut off since Postgres was asked is as it was then. */
  #asLately(found: FoundCursor): FoundCursor {
    const cut = this.#lately.get(found.member)?.cut
    return cut ? { ...found, cut: true, position: cut.position, number: cut.number } : found
  }

  async recall(name: string, number = Number.POSITIVE_INFINITY): Promise<Recalled> {
    return new RecalledPlaces(await this.#find(digest(name), number))
  }

  /** What is known here is newer than what is written; what another server knows is waited for. */
  async #find(key: string, number: number): Promise<readonly Place[]> {
    let found = await this.#findWritten(key, number)
    const busy = new Set(found.flatMap(({ cut, server }) => (cut || server === undefined ? [] : [server])))
    busy.delete(this.#beats.id)
    let gone: ReadonlySet<string> = new Set()
    if (busy.size > 0) {
      gone = await this.#beats.heard(busy)
      found = await this.#findWritten(key, number)
    }
    const places: Place[] = found.map(({ cut, server, ...place }) => ({
      ...place,
      mayBeTaken: cut || server === undefined || gone.has(server),
    }))
    for (const held of this.#held.of(key)) {
      if (held.number >= number || held.state === 'ended' || this.#gone.has(held.member)) continue
      places.push({ ...held, mayBeTaken: held.state === 'cut' })
    }
    return places
  }

  async #findWritten(key: string, number: number): Promise<readonly FoundCursor[]> {
    const found = (await this.#findTogether(key)).get(key) ?? []
    return found
      .map((place) => this.#asLately(place))
      .filter((place) => place.number < number && !this.#held.has(place) && !this.#isOver(place))
  }

  /** Many that come at once are looked up at once. */
  #findTogether(key: string): Promise<ReadonlyMap<string, readonly FoundCursor[]>> {
    const keys = this.#nextFind?.keys ?? new Set<string>()
    this.#nextFind ??= { keys, found: new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#findAll(keys)) }
    keys.add(key)
    return this.#nextFind.found
  }

  async #findAll(keys: ReadonlySet<string>): Promise<ReadonlyMap<string, readonly FoundCursor[]>> {
    this.#nextFind = undefined
    const { pool, keptMs } = this.#options
    const find = { keptMs, knownMs: Math.max(knownMs, keptMs), silentMs: this.#beats.patienceMs }
    const byKey = new Map<string, FoundCursor[]>()
    for (const cursor of await findCursors(pool, { ...find, keys: [...keys] })) {
      const same = byKey.get(cursor.key)
      if (same) same.push(cursor)
      else byKey.set(cursor.key, [cursor])
    }
    return byKey
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
    try {
      await this.#write()
      await this.#beats.leave()
    } catch (error) {
      this.#log.warn('where clients were is not written', { reason: reasonOf(error) })
    }
  }

  moved(held: HeldCursor, position: Position): void {
    if (held.position.epoch === position.epoch && held.position.number >= position.number) return
    held.position = position
    this.#dirty.add(held)
  }

  closed(held: HeldCursor, mayReturn: boolean, number = 0): void {
    if (held.state !== 'live') return
    held.state = mayReturn ? 'cut' : 'ended'
    held.number = Math.max(held.number, number)
    this.#dirty.add(held)
    // Its client may be at another server before the next turn of writing.
    this.#write().catch((error: unknown) => {
      this.#log.debug('where a client was is written later', { reason: reasonOf(error) })
    })
  }

  async #keepWriting(): Promise<void> {
    const { signal } = this.#stopping
    const { writeMs, keptMs } = this.#options
    while (!signal.aborted) {
      try {
        this.#refresh(keptMs / 3)
        await this.#write()
        // Others may have taken what is held here.
        if (await this.#beats.beat()) this.#refresh(0)
        await this.#forget()
      } catch (error) {
        this.#log.debug('where clients were is not written; it is tried again', { reason: reasonOf(error) })
      }
      await this.#clock.sleep(writeMs, signal).catch(() => undefined)
    }
  }

  /** One after the other, so that nothing older comes last; many that come at once are written at once. */
  #write(): Promise<void> {
    this.#nextWrite ??= this.#writing
      .catch(() => undefined)
      .then(() => new Promise<void>((resolve) => setImmediate(resolve)))
      .then(() => {
        this.#nextWrite = undefined
        this.#writing = this.#writeDue()
        return this.#writing
      })
    return this.#nextWrite
  }

  async #writeDue(): Promise<void> {
    const due = [...this.#dirty]
    for (let from = 0; from === 0 || from < due.length; from += maxBatch) await this.#writeBatch(due.slice(from, from + maxBatch))
  }

  async #writeBatch(batch: readonly HeldCursor[]): Promise<void> {
    const gone = [...this.#gone].map(([member, key]) => ({ key, member }))
    if (batch.length + gone.length === 0) return
    const isLeft = (held: HeldCursor): boolean => held.state !== 'ended' && !this.#gone.has(held.member)
    const rows = batch.filter(isLeft).map((held) => ({ ...held, cut: held.state === 'cut', mayBeNew: this.#mayBeNew(held) }))
    const ended = batch.filter((held) => !isLeft(held))
    for (const held of batch) this.#dirty.delete(held)
    try {
      await writeCursors(this.#options.pool, this.#beats.id, rows, [...gone, ...ended])
    } catch (error) {
      for (const held of batch) this.#dirty.add(held)
      this.#beats.failed()
      throw error
    }
    const now = this.#clock.monotonicMs()
    for (const held of batch) {
      held.seenAt = now
      held.isWritten = true
      // From now on the row alone remembers it, or nobody.
      if (held.state !== 'live' && !this.#dirty.has(held)) this.#letGo(held, now)
    }
    for (const each of gone) {
      this.#gone.delete(each.member)
      this.#held.delete(each)
    }
  }

  #letGo(held: HeldCursor, nowMs: number): void {
    this.#held.delete(held)
    if (!this.#lately.has(held.member))
      this.#lately.set(held.member, { atMs: nowMs, cut: held.state === 'cut' ? held : undefined })
  }

  /** A writing that failed may have been done all the same, and its client may have come back to it elsewhere before it is done again. */
  #mayBeNew({ state, isWritten }: HeldCursor): boolean {
    return state === 'live' || !isWritten || this.#beats.mayBeTakenForGone
  }

  /** Those of live sockets are not to be forgotten however quiet they are. */
  #refresh(afterMs: number): void {
    const before = this.#clock.monotonicMs() - afterMs
    for (const held of this.#held.all()) if (held.seenAt <= before) this.#dirty.add(held)
  }

  async #forget(): Promise<void> {
    const { pool, keptMs, silentMs } = this.#options
    const now = this.#clock.monotonicMs()
    for (const [member, { atMs }] of this.#lately) if (now - atMs > latelyMs) this.#lately.delete(member)
    if (now - this.#forgotAt < keptMs / 3) return
    this.#forgotAt = now
    await forgetCursors(pool, Math.max(knownMs, keptMs))
    await this.#beats.forget(silentMs * 10)
  }
}

class OpenCursor implements Cursor {
  readonly #cursors: PostgresCursors
  readonly #held: HeldCursor

  constructor(cursors: PostgresCursors, held: HeldCursor) {
    this.#cursors = cursors
    this.#held = held
  }

  move(position: Position): void {
    this.#cursors.moved(this.#held, position)
  }

  close(mayReturn: boolean, number?: number): void {
    this.#cursors.closed(this.#held, mayReturn, number)
  }
}

/** Keeps cursors in the pool's database. */
export const createCursorStore = (options: CursorStoreOptions): CursorStore => new PostgresCursors(options)

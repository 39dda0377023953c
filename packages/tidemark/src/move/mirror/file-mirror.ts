import { setImmediate } from 'node:timers/promises'
import { isTidemarkError, TidemarkError } from '../../errors.js'
import type { FeedEvent, FeedReset, FreshnessProof, Source, TransactionPiece } from '../../feed/feed.js'
import { comparePositions, formatPosition, isSameEpoch, type Position, parseLsn } from '../../feed/position.js'
import type { CaptureDatabase } from '../../sqlite/capture/capture.js'
import { watchSchema } from '../../sqlite/capture/watch.js'
import { sqliteCodeOf, toSqliteError } from '../../sqlite/sqlite-error.js'
import type { Clock } from '../../time/clock.js'
import type { IdMap } from '../invert/id-map.js'
import type { HeldRun } from '../live/live-run.js'
import { PieceApplier } from './apply-piece.js'
import type { Differences } from './differences.js'
import { EventReader } from './event-reader.js'
import { readCounters, writeCounters } from './file-counters.js'
import { FileProgress, type Start } from './file-progress.js'
import { FileTransaction } from './file-transaction.js'
import { Included } from './included.js'
import type { Mirror, MirrorLag, MirrorOptions, MirrorTick, ResyncReport } from './mirror.js'
import { countDifferences, recordPosition, recordStart } from './mirror-record.js'
import { beginSnapshot, connectMirror, type MirrorSession } from './mirror-session.js'
import type { MirrorTable } from './mirror-table.js'
import type { Narrowed } from './narrowed.js'
import { PieceSequence } from './piece-sequence.js'
import { publicationName, takeMirrorSlot } from './prepare-mirror.js'
import { Rate } from './rate.js'
import { resyncTable } from './resync-table.js'
import type { Statements } from './statements.js'
import type { TableApplier } from './table-applier.js'
import { checkTarget } from './target-watch.js'

/**
 * The end of the log may not be durable, and then no reader is given it: by asynchronous commits, or by a page that only begins. A commit that
 * waits for the disk brings everything before it along.
 */
const flushSql = "BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_logical_emit_message(true, 'tidemark', ''); COMMIT"

const defaultTickMs = 50
/** The longest that the process does nothing but apply. */
const breathMs = 10
/** How often the target's schema is looked at, and the record brought up to date. */
const [watchMs, recordMs] = [10_000, 1_000]
/** So old may be what the file holds of a Postgres that it is said to have caught up with. */
const caughtUpMs = 1_000

export interface MirrorParts {
  readonly options: MirrorOptions
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly file: CaptureDatabase
  readonly source: Source
  readonly session: MirrorSession
  readonly differences: Differences
  readonly narrowed: Narrowed
  readonly ids: IdMap
  readonly tables: readonly MirrorTable[]
  readonly appliers: ReadonlyMap<string, TableApplier>
  readonly byOid: ReadonlyMap<number, TableApplier>
  readonly statements: Statements
  readonly start: Start
}

const lossReasons: Readonly<Record<FeedReset['reason'], string>> = {
  start: 'its slot does not know how far it came',
  slotLost: 'its slot in Postgres was lost, and changes with it',
  newHistory: 'the database was restored, promoted or replaced',
  gap: 'changes are missing',
  streamLost: 'changes are missing',
  purgesChanged: 'changes are missing',
}

/** The mirror itself; made by openMirror. */
export class FileMirror implements Mirror {
  readonly #parts: MirrorParts
  readonly #held: HeldRun
  readonly #reader: EventReader
  readonly #progress: FileProgress
  readonly #applier: PieceApplier
  readonly #pieces = new PieceSequence()
  readonly #included = new Included()
  readonly #rate: Rate
  readonly #untold = new Set<string>()
  #freshAt: number | undefined
  #isBroken = false
  #isOlder: boolean
  #isClosed = false
  readonly #last = { watch: Number.NEGATIVE_INFINITY, record: Number.NEGATIVE_INFINITY, breath: 0 }

  constructor(parts: MirrorParts) {
    const { options, clock, signal, file, source, start, appliers, byOid, ids, differences, narrowed } = parts
    this.#parts = parts
    this.#held = options.held
    this.#isOlder = start.isOlder
    this.#reader = new EventReader(source, clock)
    this.#rate = new Rate(clock)
    const included = this.#included
    included.load(file.db)
    const applier = new PieceApplier({
      path: file.path,
      db: file.db,
      ids,
      tables: appliers,
      byOid,
      isOwnFeed: options.source === undefined,
      isIncluded: (table, xid) => included.has(table, xid),
      onUntold: (table) => this.#untold.add(table),
    })
    this.#applier = applier
    const hold = { captureId: this.#held.run.captureId ?? '', epoch: this.#held.epoch }
    const transaction = new FileTransaction({ file, hold, busyTimeoutMs: options.busyTimeoutMs ?? 2_000, clock, signal })
    const onStored = (position: Position) => source.confirm(position)
    this.#progress = new FileProgress({ file, transaction, applier, included, differences, narrowed, clock, start, onStored })
  }

  position(): Position {
    return this.#progress.reached
  }

  async tick({ maxMs = defaultTickMs }: { readonly maxMs?: number } = {}): Promise<MirrorTick> {
    try {
      return await this.#guarded(() => this.#tick(maxMs))
    } catch (error) {
      if (isTidemarkError(error, 'TM_FEED_SLOT_BUSY') && !this.#parts.options.source) await this.#takeSlot()
      else if (isTidemarkError(error, 'TM_MOVE_MIRROR_SCHEMA') || isTidemarkError(error, 'TM_MOVE_INVERT'))
        await this.#heal(error)
      else throw error
      return { transactions: 0, changes: 0, differences: 0, caughtUp: false }
    }
  }

  /**
   * A table was another for a while, and is what was moved again: the log tells of it as it was then, so it is compared as it is now. Raises
   * the error where that may not be, or nothing is mended.
   */
  async #heal(error: TidemarkError): Promise<void> {
    const { options, tables, session, file } = this.#parts
    const found = tables.find(({ plan }) =>
      [error.parameters['table'], `${error.parameters['column']}`.replace(/\.[^.]*$/, '')].some(
        (name) => name === `${plan.targetSchema}.${plan.target}` || name === plan.target,
      ),
    )
    if (options.onLost !== 'resync' || !found) throw error
    await this.#guarded(async () => {
      await checkTarget(session, file.path, tables, publicationName(options.held))
      await this.#resync(found.plan.source)
    })
  }

  async #tick(maxMs: number): Promise<MirrorTick> {
    await this.#watch()
    if (this.#isOlder) await this.#makeUp()
    const notedBefore = this.#parts.differences.noted
    const { transactions, changes } = await this.#take(maxMs)
    for (const table of this.#untold) await this.#resync(table)
    this.#untold.clear()
    await this.#keepRecord()
    const caughtUp = this.#freshAt !== undefined && this.#behindMs() < caughtUpMs
    return { transactions, changes, differences: this.#parts.differences.noted - notedBefore, caughtUp }
  }

  /** The file was replaced by an older copy of it: only comparing everything brings back what it held since. */
  async #makeUp(): Promise<void> {
    const { options, file, tables } = this.#parts
    if (options.onLost !== 'resync')
      throw new TidemarkError('TM_MOVE_MIRROR_LOST', {
        path: file.path,
        reason: 'an older copy of the file was put in its place',
      })
    for (const { plan } of tables) await this.#resync(plan.source)
    this.#isOlder = false
  }

  /** Another process reads our slot: one that holds the move now, and then this one stops; or one that lost it and does not know yet. */
  async #takeSlot(): Promise<void> {
    const { options, clock } = this.#parts
    await this.#guarded(() => this.#record())
    await takeMirrorSlot({ ...options, clock })
  }

  async drainTo(position: Position, { timeoutMs }: { readonly timeoutMs: number }): Promise<void> {
    const { clock, session, tables, file, options } = this.#parts
    const endMs = clock.monotonicMs() + timeoutMs
    await this.#guarded(() => session.query(flushSql).then(() => undefined))
    while (comparePositions(this.#progress.reached, position) < 0) {
      const leftMs = endMs - clock.monotonicMs()
      if (leftMs <= 0) {
        const what = `The mirror of ${file.path} up to ${formatPosition(position)}`
        throw new TidemarkError('TM_TIME_TIMEOUT', { what, timeoutMs, fix: 'See `tidemark move status` for its lag.' })
      }
      await this.tick({ maxMs: Math.min(leftMs, 20) })
    }
    await this.#guarded(async () => {
      await checkTarget(session, file.path, tables, publicationName(options.held))
      const counters = await readCounters(session, tables)
      await this.#progress.begin()
      writeCounters(file.db, counters)
      await this.#progress.commit()
      await this.#record()
    })
  }

  differences(): Promise<number> {
    return countDifferences(this.#parts.session, this.#held.run.id)
  }

  #behindMs(): number {
    return this.#freshAt === undefined ? 0 : Math.max(0, this.#parts.clock.monotonicMs() - this.#freshAt)
  }

  async lag(): Promise<MirrorLag> {
    const { behind, headroomBytes } = await this.#parts.source.lag()
    return { behindBytes: behind, headroomBytes, behindMs: this.#behindMs(), changesPerSecond: this.#rate.perSecond }
  }

  resync(table: string): Promise<ResyncReport> {
    return this.#guarded(() => this.#resync(table))
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const { options, source, session, file } = this.#parts
    this.#progress.rollback()
    await this.#reader.restart()
    // Where another holds the move by now, that one keeps the record.
    await this.#record().catch(() => undefined)
    if (!options.source) await source.stop()
    await session.close()
    file.close()
  }

  /** Whatever fails, the file is left as it was last made durable, and reading begins there again. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    const { signal, differences, narrowed, file } = this.#parts
    signal.throwIfAborted()
    try {
      if (this.#isBroken) {
        await differences.load()
        narrowed.forget()
      }
      this.#isBroken = false
      return await work()
    } catch (error) {
      this.#isBroken = true
      this.#progress.undo()
      this.#pieces.end()
      await this.#reader.restart()
      throw sqliteCodeOf(error) === null ? error : toSqliteError(error, file.path)
    }
  }

  async #watch(): Promise<void> {
    const { clock, session, file, tables, options } = this.#parts
    if (clock.monotonicMs() - this.#last.watch < watchMs) return
    const { dropped, reshaped } = await file.read((db) => watchSchema(db))
    const [changed] = [...dropped, ...reshaped]
    if (changed !== undefined) {
      const reason = `its table ${changed} was ${dropped.length > 0 ? 'dropped' : 'changed'}, though it takes no writes`
      throw new TidemarkError('TM_SQLITE_CHANGED', { path: file.path, reason })
    }
    await checkTarget(session, file.path, tables, publicationName(options.held))
    this.#last.watch = clock.monotonicMs()
  }

  /** Takes what comes until the time is over; longer only within a transaction of Postgres. */
  async #take(maxMs: number): Promise<{ readonly transactions: number; readonly changes: number }> {
    const { clock, signal } = this.#parts
    const endMs = clock.monotonicMs() + maxMs
    let [transactions, changes] = [0, 0]
    for (;;) {
      const leftMs = endMs - clock.monotonicMs()
      const waitMs = this.#pieces.isWithin ? Number.MAX_SAFE_INTEGER : this.#progress.isOpen ? 0 : leftMs
      const event = await this.#reader.next(this.#progress.resumeFrom, Math.min(waitMs, 60_000), signal)
      await this.#breathe()
      if (event) {
        const applied = await this.#handle(event)
        changes += applied
        if (event.type === 'transaction' && event.last) transactions += 1
      }
      if (this.#pieces.isWithin) continue
      // One look at the clock for both: a tick that ends leaves no transaction open.
      const isOver = clock.monotonicMs() >= endMs || (!event && leftMs <= 0)
      const isDue = isOver || !event || this.#progress.isLarge
      if (this.#progress.isOpen && isDue) await this.#progress.commit()
      if (isOver) break
    }
    return { transactions, changes }
  }

  /** Events may be there faster than they are applied; the connection they come over has to be answered meanwhile. */
  async #breathe(): Promise<void> {
    const { clock } = this.#parts
    if (clock.monotonicMs() - this.#last.breath < breathMs) return
    await setImmediate()
    this.#last.breath = clock.monotonicMs()
  }

  async #handle(event: FeedEvent): Promise<number> {
    if (event.type === 'transaction') return this.#handlePiece(event)
    if (event.type === 'fresh') await this.#handleFresh(event)
    else await this.#handleReset(event)
    return 0
  }

  async #handleFresh({ position, asOf }: FreshnessProof): Promise<void> {
    if (this.#pieces.isWithin || !isSameEpoch(position, this.#progress.reached)) return
    this.#freshAt = asOf
    await this.#progress.prove(position)
  }

  async #handlePiece(piece: TransactionPiece): Promise<number> {
    if (this.#progress.has(piece.position)) return 0
    this.#pieces.take(piece)
    await this.#applier.learn(piece)
    await this.#progress.begin()
    const changes = this.#applier.apply(piece)
    this.#progress.add(changes)
    this.#rate.add(changes)
    if (piece.last) {
      this.#pieces.end()
      this.#progress.aim(piece.position)
    }
    return changes
  }

  /** The positions of the source begin anew. Where that leaves a hole, every table is compared, or the mirror stops. */
  async #handleReset({ epoch, reason, position }: FeedReset): Promise<void> {
    if (epoch === this.#progress.stored.epoch && reason === 'start') return
    const { options, session, file, tables } = this.#parts
    if (options.onLost !== 'resync')
      throw new TidemarkError('TM_MOVE_MIRROR_LOST', { path: file.path, reason: lossReasons[reason] })
    await checkTarget(session, file.path, tables, publicationName(options.held))
    this.#progress.undo()
    this.#pieces.end()
    for (const { plan } of tables) await this.#resync(plan.source, epoch)
    await this.#progress.begin()
    await this.#progress.commit(position)
    await recordStart(this.#parts.session, this.#held, position)
  }

  async #keepRecord(): Promise<void> {
    const { clock } = this.#parts
    if (clock.monotonicMs() - this.#last.record < recordMs) return
    await this.#record()
  }

  /** Raises TM_MOVE_FENCED. */
  async #record(): Promise<void> {
    const { session, clock } = this.#parts
    await recordPosition(session, this.#held, this.#progress.reached, this.#isOlder ? null : this.#progress.stored)
    this.#last.record = clock.monotonicMs()
  }

  async #resync(source: string, epoch = this.#progress.stored.epoch): Promise<ResyncReport> {
    const { appliers, file, options, differences, statements, ids, signal } = this.#parts
    const applier = [...appliers.values()].find(({ table }) => table.plan.source === source)
    if (!applier) throw new TidemarkError('TM_MOVE_NO_PLAN', { path: `${file.path}, table ${source}` })
    const client = await connectMirror(options.target)
    try {
      const snapshot = await beginSnapshot(client)
      await this.#progress.begin()
      differences.clearTable(source)
      this.#parts.narrowed.clearTable(source)
      const before = differences.noted
      const report = await resyncTable({ client, db: file.db, statements, applier, ids, signal })
      // Whoever the snapshot sees has its commit in the log before this point.
      const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
      this.#included.add(file.db, source, snapshot, { epoch, number: parseLsn(rows[0]!.lsn) })
      await this.#progress.commit()
      return { ...report, refused: differences.noted - before }
    } finally {
      await client.end().catch(() => undefined)
    }
  }
}

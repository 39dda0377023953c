import { setImmediate } from 'node:timers/promises'
import type pg from 'pg'
import { isTidemarkError, TidemarkError } from '../../errors.js'
import type { FeedEvent, FeedReset, FreshnessProof, Source, TransactionPiece } from '../../feed/feed.js'
import { tableName } from '../../feed/feed.js'
import { comparePositions, formatPosition, isSameEpoch, type Position, parseLsn, parsePosition } from '../../feed/position.js'
import { takeOverSlot } from '../../feed/slots.js'
import { connectPostgres } from '../../postgres/connect.js'
import type { CaptureDatabase } from '../../sqlite/capture/capture.js'
import { openCaptureDatabase } from '../../sqlite/capture/capture-database.js'
import { readControl, takeControl } from '../../sqlite/capture/control.js'
import { sqliteCodeOf, toSqliteError } from '../../sqlite/sqlite-error.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { createIdMap, type IdMap } from '../invert/id-map.js'
import type { HeldRun } from '../live/live-run.js'
import { PieceApplier } from './apply-piece.js'
import { Differences } from './differences.js'
import { EventReader } from './event-reader.js'
import { readCounters, writeCounters } from './file-counters.js'
import { FileTransaction } from './file-transaction.js'
import { Included } from './included.js'
import type { Mirror, MirrorLag, MirrorOptions, MirrorTick, ResyncReport } from './mirror.js'
import { connectMirror, MirrorSession } from './mirror-session.js'
import type { MirrorTable } from './mirror-table.js'
import { mirrorSlot, mirrorSource, publicationName, readMirrorTables } from './prepare-mirror.js'
import { Rate } from './rate.js'
import { resyncTable } from './resync-table.js'
import { Statements } from './statements.js'
import { TableApplier } from './table-applier.js'
import { checkTarget } from './target-watch.js'

/**
 * The end of the log may not be durable, and then no reader is given it: by asynchronous commits, or by a page that only begins. A commit that
 * waits for the disk brings everything before it along.
 */
const flushSql = "BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_logical_emit_message(true, 'tidemark', ''); COMMIT"

const defaultTickMs = 50
/** The longest that the process does nothing but apply. */
const breathMs = 10
/** Changes of small transactions that become durable together. */
const changesPerCommit = 5_000
/** How often the target's schema is looked at, the record brought up to date, and the position stored while nothing changes. */
const [watchMs, recordMs, idleStoreMs] = [10_000, 1_000, 5_000]
const [retryMs, tellMs] = [500, 1_000]
/** So old may be what the file holds of a Postgres that it is said to have caught up with. */
const caughtUpMs = 1_000

interface Start {
  readonly position: Position
  /** False where it is only the place of the cutover. */
  readonly isStored: boolean
}

interface Parts {
  readonly options: MirrorOptions
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly file: CaptureDatabase
  readonly source: Source
  readonly session: MirrorSession
  readonly differences: Differences
  readonly ids: IdMap
  readonly tables: readonly MirrorTable[]
  readonly appliers: ReadonlyMap<string, TableApplier>
  readonly statements: Statements
  readonly start: Start
}

/** A transaction of Postgres of which a part is applied. */
interface Begun {
  readonly number: bigint
  next: number
}

class FileMirror implements Mirror {
  readonly #parts: Parts
  readonly #held: HeldRun
  readonly #reader: EventReader
  readonly #transaction: FileTransaction
  readonly #applier: PieceApplier
  readonly #included = new Included()
  readonly #rate: Rate
  readonly #untold = new Set<string>()
  /** In the file, durably. */
  #stored: Position
  /** False while it is only the place of the cutover, to which Postgres itself may not be durable yet. */
  #isStored: boolean
  /** The file has everything up to here. */
  #reached: Position
  /** What the open transaction brings the file to. */
  #target: Position | undefined
  #begun: Begun | undefined
  #changes = 0
  #freshAt: number | undefined
  #isBroken = false
  #isClosed = false
  readonly #last = { watch: Number.NEGATIVE_INFINITY, record: Number.NEGATIVE_INFINITY, store: 0, breath: 0 }

  constructor(parts: Parts) {
    const { options, clock, signal, file, source, start, appliers, ids } = parts
    this.#parts = parts
    this.#held = options.held
    this.#stored = start.position
    this.#isStored = start.isStored
    this.#reached = start.position
    this.#reader = new EventReader(source, clock)
    this.#rate = new Rate(clock)
    this.#last.store = clock.monotonicMs()
    const hold = { captureId: this.#held.run.captureId ?? '', epoch: this.#held.epoch }
    this.#transaction = new FileTransaction({ file, hold, busyTimeoutMs: options.busyTimeoutMs ?? 2_000, clock, signal })
    this.#included.load(file.db)
    this.#applier = new PieceApplier({
      path: file.path,
      db: file.db,
      ids,
      tables: appliers,
      isIncluded: (table, xid) => this.#included.has(table, xid),
      onUntold: (table) => this.#untold.add(table),
    })
  }

  position(): Position {
    return this.#reached
  }

  async tick({ maxMs = defaultTickMs }: { readonly maxMs?: number } = {}): Promise<MirrorTick> {
    try {
      return await this.#guarded(() => this.#tick(maxMs))
    } catch (error) {
      if (!isTidemarkError(error, 'TM_FEED_SLOT_BUSY') || this.#parts.options.source) throw error
      await this.#takeSlot()
      return { transactions: 0, changes: 0, differences: 0, caughtUp: false }
    }
  }

  async #tick(maxMs: number): Promise<MirrorTick> {
    await this.#watch()
    const notedBefore = this.#parts.differences.noted
    const { transactions, changes } = await this.#take(maxMs)
    for (const table of this.#untold) await this.#resync(table)
    this.#untold.clear()
    await this.#keepRecord()
    const caughtUp = this.#freshAt !== undefined && this.#behindMs() < caughtUpMs
    return { transactions, changes, differences: this.#parts.differences.noted - notedBefore, caughtUp }
  }

  /** Another process reads our slot: one that holds the move now, and then this one stops; or one that lost it and does not know yet. */
  async #takeSlot(): Promise<void> {
    const { options, clock } = this.#parts
    await this.#guarded(() => this.#record())
    const client = await connectPostgres({ ...(options.feedTarget ?? options.target), name: 'mirror setup' })
    try {
      await takeOverSlot(client, await mirrorSlot(client, this.#held), { clock })
    } finally {
      await client.end()
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, options } = this.#parts
    let told = clock.monotonicMs()
    let changes = 0
    while (!signal.aborted) {
      try {
        changes += (await this.tick()).changes
      } catch (error) {
        if (signal.aborted) return
        if (!isTidemarkError(error) || !error.retryable) throw error
        options.onEvent?.({ type: 'notice', message: `The mirror tries again: ${error.message}` })
        await clock.sleep(retryMs, signal).catch(() => undefined)
      }
      const elapsedMs = clock.monotonicMs() - told
      if (elapsedMs < tellMs) continue
      const changesPerSecond = Math.round((changes * 1000) / elapsedMs)
      options.onEvent?.({ type: 'lag', phase: 'mirror', behind: 0, behindMs: this.#behindMs(), changesPerSecond })
      told = clock.monotonicMs()
      changes = 0
    }
  }

  async drainTo(position: Position, { timeoutMs }: { readonly timeoutMs: number }): Promise<void> {
    const { clock, session, tables, file, options } = this.#parts
    const endMs = clock.monotonicMs() + timeoutMs
    await this.#guarded(() => session.query(flushSql).then(() => undefined))
    while (comparePositions(this.#reached, position) < 0) {
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
      await this.#transaction.begin()
      writeCounters(file.db, counters)
      await this.#commit(this.#reached)
      await this.#record()
    })
  }

  async differences(): Promise<number> {
    const { rows } = await this.#parts.session.query<{ count: string }>(
      "SELECT count(*) FROM tidemark.move_differences WHERE run_id = $1 AND difference ->> 'by' = 'mirror'",
      [this.#held.run.id],
    )
    return Number(rows[0]!.count)
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
    this.#transaction.rollback()
    await this.#reader.restart()
    if (!options.source) await source.stop()
    await session.close()
    file.close()
  }

  /** Whatever fails, the file is left as it was last made durable, and reading begins there again. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    const { signal, differences, file } = this.#parts
    signal.throwIfAborted()
    try {
      if (this.#isBroken) await differences.load()
      this.#isBroken = false
      return await work()
    } catch (error) {
      this.#isBroken = true
      this.#transaction.rollback()
      this.#applier.forget()
      this.#begun = undefined
      this.#target = undefined
      this.#changes = 0
      this.#reached = this.#stored
      this.#included.load(file.db)
      await this.#reader.restart()
      throw sqliteCodeOf(error) === null ? error : toSqliteError(error, file.path)
    }
  }

  async #watch(): Promise<void> {
    const { clock, session, file, tables, options } = this.#parts
    if (clock.monotonicMs() - this.#last.watch < watchMs) return
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
      const waitMs = this.#begun ? Number.MAX_SAFE_INTEGER : this.#transaction.isOpen ? 0 : leftMs
      const from = this.#isStored ? this.#stored : undefined
      const event = await this.#reader.next(from, Math.min(waitMs, 60_000), signal)
      await this.#breathe()
      if (event) {
        const applied = await this.#handle(event)
        changes += applied
        if (event.type === 'transaction' && event.last) transactions += 1
      }
      if (this.#begun) continue
      const isDue = !event || this.#changes >= changesPerCommit || clock.monotonicMs() >= endMs
      if (this.#transaction.isOpen && isDue) await this.#commit(this.#target ?? this.#reached)
      if (clock.monotonicMs() >= endMs || (!event && leftMs <= 0)) break
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
    if (this.#begun || !isSameEpoch(position, this.#reached)) return
    this.#freshAt = asOf
    // A proof speaks of a moment that has passed; what was given since lies behind it.
    if (this.#transaction.isOpen) {
      if (comparePositions(position, this.#target ?? this.#reached) > 0) this.#target = position
      return
    }
    if (comparePositions(position, this.#reached) > 0) this.#reached = position
    const { clock } = this.#parts
    if (clock.monotonicMs() - this.#last.store < idleStoreMs || comparePositions(this.#reached, this.#stored) <= 0) return
    await this.#transaction.begin()
    await this.#commit(this.#reached)
  }

  async #handlePiece(piece: TransactionPiece): Promise<number> {
    if (comparePositions(piece.position, this.#stored) <= 0 || comparePositions(piece.position, this.#reached) <= 0) return 0
    this.#follow(piece)
    await this.#applier.learn(piece)
    await this.#transaction.begin()
    const changes = this.#applier.apply(piece)
    this.#changes += changes
    this.#rate.add(changes)
    if (piece.last) {
      this.#begun = undefined
      this.#target = piece.position
    }
    return changes
  }

  /** Pieces of a transaction come one after another, also over a connection that was made again. */
  #follow({ position, firstOrdinal, changes }: TransactionPiece): void {
    const begun = this.#begun
    const goesOn = begun ? begun.number === position.number && begun.next === firstOrdinal : firstOrdinal === 0
    if (!goesOn) {
      const reason = `a piece of the transaction at ${formatPosition(position)} begins with change ${firstOrdinal}, which is not the next`
      throw new TidemarkError('TM_FEED_PROTOCOL', { reason })
    }
    this.#begun = { number: position.number, next: firstOrdinal + changes.length }
  }

  /** The positions of the source begin anew. Where that leaves a hole, every table is compared, or the mirror stops. */
  async #handleReset({ epoch, reason, position }: FeedReset): Promise<void> {
    if (epoch === this.#stored.epoch && reason === 'start') return
    const { options, file, tables } = this.#parts
    if (options.onLost !== 'resync') {
      const why = {
        start: 'its slot does not know how far it came',
        slotLost: 'its slot in Postgres was lost, and changes with it',
        newHistory: 'the database was restored, promoted or replaced',
        gap: 'changes are missing',
        streamLost: 'changes are missing',
      }[reason]
      throw new TidemarkError('TM_MOVE_MIRROR_LOST', { path: file.path, reason: why })
    }
    this.#transaction.rollback()
    for (const { plan } of tables) await this.#resync(plan.source, epoch)
    await this.#transaction.begin()
    await this.#commit(position)
    await this.#parts.session.query('UPDATE tidemark.move_runs SET cut_position = $3 WHERE id = $1 AND epoch = $2', [
      this.#held.run.id,
      this.#held.epoch,
      formatPosition(position),
    ])
  }

  /** Makes what was applied durable, differences first: nothing that the file lacks is ever left unsaid. */
  async #commit(position: Position): Promise<void> {
    const { differences, source, clock, file } = this.#parts
    await differences.flush()
    this.#applier.writeLog()
    this.#included.prune(file.db, position)
    await this.#transaction.commit(formatPosition(position))
    this.#stored = position
    this.#isStored = true
    this.#reached = position
    this.#target = undefined
    this.#changes = 0
    this.#last.store = clock.monotonicMs()
    source.confirm(position)
  }

  async #keepRecord(): Promise<void> {
    const { clock } = this.#parts
    if (clock.monotonicMs() - this.#last.record < recordMs) return
    await this.#record()
  }

  /** Raises TM_MOVE_FENCED. */
  async #record(): Promise<void> {
    const { session, clock, file } = this.#parts
    const { run, epoch } = this.#held
    const { rowCount } = await session.query(
      'UPDATE tidemark.move_runs SET mirrored_position = $3, updated_at = now() WHERE id = $1 AND epoch = $2',
      [run.id, epoch, formatPosition(this.#reached)],
    )
    this.#last.record = clock.monotonicMs()
    if (rowCount === 1) return
    const { rows } = await session.query<{ holder_pid: number | null; holder_host: string | null }>(
      'SELECT holder_pid, holder_host FROM tidemark.move_runs WHERE id = $1',
      [run.id],
    )
    const [pid, host] = [rows[0]?.holder_pid ?? 'unknown', rows[0]?.holder_host ?? 'unknown']
    throw new TidemarkError('TM_MOVE_FENCED', { path: file.path, epoch: String(epoch), pid, host })
  }

  async #resync(source: string, epoch = this.#stored.epoch): Promise<ResyncReport> {
    const { appliers, file, options, differences, statements, ids, signal } = this.#parts
    const applier = [...appliers.values()].find(({ table }) => table.plan.source === source)
    if (!applier) throw new TidemarkError('TM_MOVE_NO_PLAN', { path: `${file.path}, table ${source}` })
    const client = await connectMirror(options.target)
    try {
      const { snapshot } = await beginSnapshot(client)
      await this.#transaction.begin()
      differences.clearTable(source)
      const before = differences.noted
      const report = await resyncTable({ client, db: file.db, statements, applier, ids, signal })
      // Whoever the snapshot sees has its commit in the log before this point.
      const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
      this.#included.add(file.db, source, snapshot, { epoch, number: parseLsn(rows[0]!.lsn) })
      await this.#commit(this.#target ?? this.#reached)
      return { ...report, refused: differences.noted - before }
    } finally {
      await client.end().catch(() => undefined)
    }
  }
}

const beginSnapshot = async (client: pg.Client): Promise<{ readonly snapshot: string }> => {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  const { rows } = await client.query<{ snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot')
  return rows[0]!
}

/** Where the mirror goes on: where the file says, unless that is of an earlier cutover. */
const startOf = async (session: MirrorSession, { run }: HeldRun, stored: string | null): Promise<Start> => {
  // Not as it was when this process took the move over: a mirror that had to compare everything begins another history.
  const { rows } = await session.query<{ cut_position: string | null }>(
    'SELECT cut_position FROM tidemark.move_runs WHERE id = $1',
    [run.id],
  )
  const cutPosition = rows[0]?.cut_position ?? null
  if (cutPosition === null) {
    const reason = `${run.path} was not cut over, so there is nothing to mirror.`
    throw new TidemarkError('TM_MOVE_NOT_ALLOWED', { reason, fix: 'See `tidemark move status`.' })
  }
  const cut = parsePosition(cutPosition)
  const mirrored = stored === null ? cut : parsePosition(stored)
  const isStored = isSameEpoch(cut, mirrored) && mirrored.number > cut.number
  return { position: isStored ? mirrored : cut, isStored }
}

/** Printed keys of the rows that were left out of the copy, by table. */
const readLeftOut = async (session: MirrorSession, runId: string): Promise<ReadonlyMap<string, ReadonlySet<string>>> => {
  const { rows } = await session.query<{ table_name: string; row_key: string }>(
    "SELECT DISTINCT table_name, row_key FROM tidemark.move_rejects WHERE run_id = $1 AND outcome = 'rowRejected'",
    [runId],
  )
  const found = new Map<string, Set<string>>()
  for (const { table_name, row_key } of rows) found.set(table_name, (found.get(table_name) ?? new Set()).add(row_key))
  return found
}

/**
 * Opens the mirror of a move that was cut over. Raises TM_MOVE_FENCED, TM_MOVE_NOT_ALLOWED, TM_MOVE_MIRROR_SCHEMA, TM_SQLITE_*, TM_POSTGRES_*.
 */
export const openMirror = async (options: MirrorOptions): Promise<Mirror> => {
  const { held, target, busyTimeoutMs = 2_000, clock = systemClock, onEvent = () => {} } = options
  const signal = options.signal ?? new AbortController().signal
  const file = await openCaptureDatabase(held.run.path, { busyTimeoutMs, clock, signal })
  const session = new MirrorSession(target)
  try {
    const hold = { captureId: held.run.captureId ?? '', epoch: held.epoch }
    const control = await file.write((db) => {
      takeControl(db, hold)
      return readControl(db)
    })
    const start = await startOf(session, held, control?.mirroredPosition ?? null)
    const ids = createIdMap(session)
    const tables = readMirrorTables(held, ids)
    await checkTarget(session, file.path, tables, publicationName(held))
    const differences = new Differences(session, held.run.id, onEvent)
    await differences.load()
    const leftOut = await readLeftOut(session, held.run.id)
    const statements = new Statements(file.db)
    const appliers = new Map(
      tables.map((table) => {
        const name = tableName({ schema: table.plan.targetSchema, table: table.plan.target })
        const kept = leftOut.get(table.plan.source) ?? new Set<string>()
        return [name, new TableApplier(file.db, table, statements, differences, kept)]
      }),
    )
    const source = options.source ?? mirrorSource(options)
    return new FileMirror({
      options,
      clock,
      signal,
      file,
      source,
      session,
      differences,
      ids,
      tables,
      appliers,
      statements,
      start,
    })
  } catch (error) {
    await session.close()
    file.close()
    throw sqliteCodeOf(error) === null ? error : toSqliteError(error, held.run.path)
  }
}

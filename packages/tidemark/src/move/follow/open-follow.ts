/** Opens following: one tick after another, each whole. */
import { resolve } from 'node:path'
import { TidemarkError } from '../../errors.js'
import type { CaptureDatabase, CaptureHold, CaptureTable } from '../../sqlite/capture/capture.js'
import { openCaptureDatabase } from '../../sqlite/capture/capture-database.js'
import { checkIdentity } from '../../sqlite/capture/identity.js'
import { rearm } from '../../sqlite/capture/install.js'
import { letGo } from '../../sqlite/capture/let-go.js'
import { logHead } from '../../sqlite/capture/log.js'
import { watchSchema } from '../../sqlite/capture/watch.js'
import { openSqlite } from '../../sqlite/open.js'
import type { SqliteFile } from '../../sqlite/sqlite.js'
import { canTellApart } from '../checks/differing-keys.js'
import { isDataError } from '../copy/copy-rows.js'
import { captureTablesOf, logKeyOf } from '../log-key.js'
import type { TablePlan } from '../move.js'
import { type Applied, BatchApplier } from './apply-batch.js'
import { inFencedTransaction } from './fenced-transaction.js'
import { FileMark } from './file-mark.js'
import type { Follow, FollowLag, FollowOptions, FollowTick, Reconciliation } from './follow.js'
import { type FollowSession, noteRejects } from './follow-session.js'
import { type FollowSettings, followSettings } from './follow-settings.js'
import { LagMeter } from './lag-meter.js'
import { LogPruner } from './prune-applied.js'
import { type Batch, BatchReader } from './read-batch.js'
import { logKeys, reconcileTable } from './reconcile-table.js'
import { reloadTable } from './reload-table.js'
import { SchemaJudge } from './schema-change.js'
import { SteadySession } from './steady-session.js'

const lagEveryMs = 1000

class Follower implements Follow {
  readonly #options: FollowOptions
  readonly #settings: FollowSettings
  readonly #capture: CaptureDatabase
  readonly #file: SqliteFile
  readonly #hold: CaptureHold
  readonly #reader: BatchReader
  readonly #captureTables: readonly CaptureTable[]
  readonly #judge: SchemaJudge
  readonly #lag: LagMeter
  readonly #session: SteadySession
  readonly #pruner: LogPruner
  readonly #mark: FileMark
  #nextLagMs: number
  #appliedSinceLag = 0

  constructor(options: FollowOptions, settings: FollowSettings, capture: CaptureDatabase, file: SqliteFile) {
    const { run, epoch } = options.held
    this.#options = options
    this.#settings = settings
    this.#capture = capture
    this.#file = file
    this.#hold = { captureId: run.captureId!, epoch }
    this.#session = new SteadySession(options, settings)
    this.#pruner = new LogPruner(capture, run.captureId!, settings)
    this.#mark = new FileMark(capture, this.#hold, options.held, settings)
    this.#reader = new BatchReader(capture.db, run.plan, settings)
    this.#captureTables = captureTablesOf(run.plan)
    this.#judge = new SchemaJudge(run.path, settings.clock)
    this.#lag = new LagMeter(settings.clock, run.appliedSeq)
    this.#nextLagMs = settings.clock.monotonicMs() + lagEveryMs
  }

  tick(): Promise<FollowTick> {
    return this.#tick(this.#settings.signal)
  }

  async drain(signal?: AbortSignal): Promise<bigint> {
    const all = signal ? AbortSignal.any([this.#settings.signal, signal]) : this.#settings.signal
    for (;;) {
      const { atHead, appliedSeq } = await this.#tick(all)
      if (atHead) return appliedSeq
    }
  }

  lag(): FollowLag {
    return this.#lag.lag
  }

  async reconcile(name: string): Promise<Reconciliation> {
    const table = this.#tableOf(name)
    const { signal } = this.#settings
    return this.#session.use(signal, (session) => this.#renew(session, table, signal))
  }

  async close(): Promise<void> {
    await this.#markLast()
    await this.#session.close()
    this.#file.close()
    this.#capture.close()
  }

  /** Where the session is lost or the move held by another by now, the file keeps the mark it has. */
  async #markLast(): Promise<void> {
    const { current } = this.#session
    if (current) await this.#mark.renew(current.client, current.record.appliedSeq, true).catch(() => undefined)
  }

  #tableOf(name: string): TablePlan {
    const table = this.#options.held.run.plan.tables.find(({ source }) => source === name)
    if (table) return table
    throw new TidemarkError('TM_MOVE_NOT_ALLOWED', {
      reason: `The move has no table ${name}.`,
      fix: 'See `tidemark move status`.',
    })
  }

  async #tick(signal: AbortSignal): Promise<FollowTick> {
    const tick = await this.#session.use(signal, (session) => this.#once(session, signal))
    this.#appliedSinceLag += tick.applied
    this.#tellLag()
    if (this.#session.current) await this.#pruner.prune(this.#session.current.record)
    return tick
  }

  async #once(session: FollowSession, signal: AbortSignal): Promise<FollowTick> {
    const renewed = await this.#settle(session, signal)
    const batch = await this.#read(session, signal)
    if (!batch) return this.#standing(session, renewed)
    this.#lag.see(batch.head)
    const reloaded = await this.#reload(session, batch, signal)
    if (batch.entries === 0) {
      const atHead = session.record.unsettled.length === 0
      return { ...this.#standing(session, renewed), atHead }
    }
    const { rejects, acceptedAgain, postponed } = await this.#apply(session, batch)
    this.#lag.applied(batch.upTo)
    const isWhole = postponed.length === 0 && session.record.unsettled.length === 0
    const head = reloaded ? await this.#capture.read(logHead, { signal }) : batch.head
    return {
      applied: batch.entries,
      appliedSeq: batch.upTo,
      atHead: isWhole && batch.upTo === head,
      changedKeys: new Map([
        ...[...batch.whole].map((name) => [name, []] as const),
        ...batch.changes.map(({ table, keys }) => [table.source, keys] as const),
      ]),
      renewed,
      rejected: rejects.filter(({ outcome }) => outcome === 'rowRejected').length,
      acceptedAgain,
    }
  }

  #standing({ record }: FollowSession, renewed: readonly string[]): FollowTick {
    return {
      applied: 0,
      appliedSeq: record.appliedSeq,
      atHead: false,
      changedKeys: new Map(),
      renewed,
      rejected: 0,
      acceptedAgain: 0,
    }
  }

  /** Nothing where the file's schema has to be dealt with first. */
  async #read(session: FollowSession, signal: AbortSignal): Promise<Batch | undefined> {
    const { appliedSeq } = session.record
    await this.#mark.renew(session.client, appliedSeq)
    await this.#mark.load(session.client)
    const { watch, batch } = await this.#capture.read(
      (db) => {
        checkIdentity(this.#capture, this.#hold.captureId, appliedSeq)
        this.#mark.check()
        const seen = watchSchema(db)
        const isSteady = !seen.moved && seen.dropped.length === 0 && seen.reshaped.length === 0
        return { watch: seen, batch: isSteady ? this.#reader.read(appliedSeq, (name) => session.contested.has(name)) : undefined }
      },
      { signal },
    )
    for (const name of this.#judge.news(watch)) this.#tellNew(name)
    await this.#letGo(watch.dropped, signal)
    const verdict = this.#judge.judge(watch)
    if (verdict === 'steady') return batch
    if (verdict === 'wait') await this.#settings.clock.sleep(50, signal)
    else await this.#rearm(session, watch, verdict, signal)
    return undefined
  }

  /** A table that goes by another name now is the application's alone, whatever becomes of the move. */
  async #letGo(names: readonly string[], signal: AbortSignal): Promise<void> {
    if (names.length === 0) return
    const tables = this.#captureTables.filter(({ name }) => names.includes(name))
    await letGo(this.#capture, this.#hold, tables, { signal })
  }

  #tellNew(name: string): void {
    const message = `The file has a new table ${name}, which is not part of this move. A cutover is refused until it is moved or left out.`
    this.#settings.onEvent({ type: 'notice', message })
  }

  /** What has to be read whole is noted before it is armed: whoever goes on after a crash then knows. */
  async #rearm(
    session: FollowSession,
    watch: ReturnType<typeof watchSchema>,
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const { client } = session
    const { held } = this.#options
    session.record = (await inFencedTransaction(client, held, { unsettle: names }, async () => undefined)).record
    const tables = this.#captureTables.filter(({ name }) => names.includes(name))
    await rearm(this.#capture, this.#hold, { watch, tables, signal })
    this.#reader.forget()
    if (names.length > 0)
      this.#settings.onEvent({
        type: 'notice',
        message: `The schema of the file changed; read again as a whole: ${names.join(', ')}.`,
      })
  }

  /** Brings over as a whole what has to be. */
  async #settle(session: FollowSession, signal: AbortSignal): Promise<readonly string[]> {
    const names = [...session.record.unsettled]
    for (const name of names) await this.#renew(session, this.#tableOf(name), signal)
    return names
  }

  /** Compares a table whose rows have keys of their own; copies any other anew. */
  async #renew(session: FollowSession, table: TablePlan, signal: AbortSignal): Promise<Reconciliation> {
    const { client, contested, rejecting } = session
    const { held } = this.#options
    const at = { database: this.#file.db, client, held, table, signal }
    const captureTable = this.#captureTables.find(({ name }) => name === table.source)!
    const isUnsettled = session.record.unsettled.includes(table.source)
    const isComparable = canTellApart(table) && logKeyOf(table).kind !== 'none' && !contested.has(table.source)
    // A rowid that was numbered anew makes every row another: there is nothing to compare.
    if (isComparable && !(isUnsettled && logKeyOf(table).kind === 'rowid')) {
      const { logged, removed, isDone } = await reconcileTable({ ...at, capture: this.#capture, hold: this.#hold, captureTable })
      if (isDone) {
        session.record = (await inFencedTransaction(client, held, { settle: [table.source] }, async () => undefined)).record
        return { table: table.source, logged, removed, reloaded: false }
      }
    }
    const { record, rejects } = await reloadTable(at)
    session.record = record
    contested.delete(table.source)
    rejecting.delete(table.source)
    this.#noteRejects(session, rejects)
    return { table: table.source, logged: 0, removed: 0, reloaded: true }
  }

  #noteRejects(session: FollowSession, rejects: Applied['rejects']): void {
    noteRejects(session, rejects)
    for (const reject of rejects) this.#settings.onEvent({ type: 'reject', reject })
  }

  /** Tables of the batch in which no key tells what changed. */
  async #reload(session: FollowSession, { whole }: Batch, signal: AbortSignal): Promise<boolean> {
    for (const name of whole) {
      const table = this.#tableOf(name)
      const { client, contested, rejecting } = session
      const { record, rejects } = await reloadTable({
        database: this.#file.db,
        client,
        held: this.#options.held,
        table,
        signal,
      })
      session.record = record
      contested.delete(name)
      rejecting.delete(name)
      this.#noteRejects(session, rejects)
    }
    return whole.size > 0
  }

  async #apply(session: FollowSession, batch: Batch): Promise<Applied> {
    const applied = await this.#applyOnce(session, batch, false).catch((error: unknown) => {
      if (isDataError(error)) return this.#applyOnce(session, batch, true)
      throw error
    })
    this.#noteRejects(session, applied.rejects)
    return applied
  }

  async #applyOnce(session: FollowSession, batch: Batch, isCareful: boolean): Promise<Applied> {
    const { client, stages, rejecting } = session
    const { held } = this.#options
    await stages.prepare(batch.changes)
    const how = { runId: held.run.id, isAtHead: batch.upTo === batch.head, isCareful }
    const { record, result } = await inFencedTransaction(client, held, { appliedSeq: batch.upTo }, async () => {
      const applier = new BatchApplier(client, stages, how)
      await applier.begin()
      for (const changes of batch.changes) await applier.apply(changes, rejecting.has(changes.table.source))
      await this.#postpone(applier.result)
      return applier.result
    })
    session.record = record
    return result
  }

  /** Back into the log, behind what will free their keys; before the commit, so that none is forgotten. */
  async #postpone({ postponed }: Applied): Promise<void> {
    for (const { table, keys } of postponed) {
      const captureTable = this.#captureTables.find(({ name }) => name === table.source)!
      await logKeys(this.#capture, this.#hold, captureTable, keys, this.#settings.signal)
    }
  }

  #tellLag(): void {
    const { clock, onEvent } = this.#settings
    const now = clock.monotonicMs()
    if (now < this.#nextLagMs) return
    const elapsedMs = now - this.#nextLagMs + lagEveryMs
    const changesPerSecond = Math.round((this.#appliedSinceLag * 1000) / elapsedMs)
    onEvent({ type: 'lag', phase: 'follow', ...this.#lag.lag, changesPerSecond })
    this.#appliedSinceLag = 0
    this.#nextLagMs = now + lagEveryMs
  }
}

/**
 * Opens following for a run that this process holds. Raises TM_MOVE_NOT_ALLOWED where the run has no capture or was not planned as a live
 * move (see `makeLive`), TM_SQLITE_*.
 */
export const openFollow = async (options: FollowOptions): Promise<Follow> => {
  const { run } = options.held
  const settings = followSettings(options)
  if (run.captureId === null || !run.plan.live) {
    const reason = `The move of ${run.path} was not prepared for following.`
    throw new TidemarkError('TM_MOVE_NOT_ALLOWED', { reason, fix: `Run \`tidemark move ${run.path}\`.` })
  }
  const { busyTimeoutMs, clock, signal } = settings
  const path = resolve(run.path)
  const capture = await openCaptureDatabase(path, { busyTimeoutMs, clock, signal })
  try {
    // The device's number may change when the machine starts anew; the inode does not.
    if (!run.plan.fileId.endsWith(`:${capture.fileId.inode}`))
      throw new TidemarkError('TM_SQLITE_CHANGED', { path, reason: 'another file stands in its place' })
    const file = openSqlite(path, { readonly: true, busyTimeoutMs })
    return new Follower(options, settings, capture, file)
  } catch (error) {
    capture.close()
    throw error
  }
}

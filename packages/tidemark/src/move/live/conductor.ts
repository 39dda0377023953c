/**
 * One process that keeps a move going: it copies, follows, mirrors, by the state that the record is in. Commands in other processes take the
 * move over for a switch; this one notices, stands aside, and goes on with whatever the state is then. It may be killed at any instruction, and
 * any number of them may run: one holds the move, the others wait until it lets go or falls silent.
 */
import type pg from 'pg'
import { isTidemarkError, reasonOf } from '../../errors.js'
import { exponential } from '../../resilience/backoff.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { CopyOptions } from '../copy/copy.js'
import { validateForeignKeys } from '../cutover/rehearse.js'
import { settleCutover, takeFile, unprepare } from '../cutover/settle-cutover.js'
import type { CopyReport, MovePlan } from '../move.js'
import { reconcileRecord } from '../rollback/reconcile-record.js'
import { settleRollback } from '../rollback/settle-rollback.js'
import { beginFollowing, copyLive } from './begin-live.js'
import { openMoveFile } from './file.js'
import { followAlong } from './follow-along.js'
import { type Holding, holdMove, isHeldByAnother } from './holding.js'
import type { HeldRun, LiveRun } from './live-run.js'
import type { MoveState } from './live-state.js'
import { mirrorAlong } from './mirror-along.js'
import { advance, beat, findLiveRun, requireLiveRun } from './record.js'
import { asMoveError, choiceOf, connectMove } from './session.js'
import type { LiveMoveOptions } from './switch-options.js'

export interface ConductOptions extends LiveMoveOptions, Pick<CopyOptions, 'onExisting' | 'workers' | 'transactionBytes'> {
  /** A live plan to begin with, or to go on under. Default: the move that the record knows. */
  readonly plan?: MovePlan
  /** `ready`: until a cutover (after it: a rollback) would be let through; the capture stays, so it may come at any time. Default `ended`. */
  readonly until?: 'ready' | 'ended'
  /** The part of the time that comparing may take. Default 0.3. */
  readonly checkShare?: number
}

export interface ConductReport {
  readonly runId: string
  /** `stopped`: by the signal, to be gone on with. `copyFailed`: an object of the plan could not be made, see `copy`. */
  readonly outcome: 'ready' | 'stopped' | 'finished' | 'aborted' | 'copyFailed'
  readonly state: MoveState
  /** Of this call's copy; null where there was none to make. */
  readonly copy: CopyReport | null
}

/** How long to wait before the record is looked at again, where another process is at work. */
const standAsideMs = 200
/** Pauses after what passes by itself. */
const pauses = { baseMs: 200, maxMs: 5_000 }

type Verdict = ConductReport['outcome'] | 'goOn'

class Conductor {
  readonly #options: ConductOptions
  readonly #clock: Clock
  readonly #stop: AbortSignal
  #copy: CopyReport | null = null
  #runId = ''
  #state: MoveState = 'planned'
  /** The caller asked for this move to go on: after a rollback it follows again. Once. */
  #isAsked = true
  #standsAsideFor = ''
  #failures = 0

  constructor(options: ConductOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#stop = options.signal ?? new AbortController().signal
  }

  async run(): Promise<ConductReport> {
    for (;;) {
      const outcome = await this.#attempt()
      if (outcome !== 'goOn') return { runId: this.#runId, outcome, state: this.#state, copy: this.#copy }
    }
  }

  async #attempt(): Promise<Verdict> {
    if (this.#stop.aborted) return 'stopped'
    try {
      const verdict = await this.#step()
      this.#failures = 0
      return verdict
    } catch (error) {
      if (this.#stop.aborted) return 'stopped'
      return this.#after(asMoveError(error, this.#options))
    }
  }

  /** What was raised: another process at work, something that passes, or the end. */
  async #after(error: unknown): Promise<Verdict> {
    if (isTidemarkError(error, 'TM_MOVE_FENCED') || isTidemarkError(error, 'TM_MOVE_STATE')) {
      await this.#rest(standAsideMs)
      return 'goOn'
    }
    if (!isTidemarkError(error) || !error.retryable) throw error
    if (this.#failures++ === 0) this.#notice(`${reasonOf(error)} The move goes on when it can.`)
    await this.#rest(exponential(this.#failures, pauses))
    return 'goOn'
  }

  #notice(message: string): void {
    this.#options.onEvent?.({ type: 'notice', message })
  }

  #rest(ms: number): Promise<void> {
    return this.#clock.sleep(ms, this.#stop).catch(() => undefined)
  }

  async #step(): Promise<Verdict> {
    const client = await connectMove(this.#options.target)
    try {
      const run = await this.#look(client)
      if (run) this.#runId = run.id
      if (run) this.#state = run.state
      if (!run || run.state === 'planned' || run.state === 'copying' || run.state === 'copied')
        return await this.#begin(client, run)
      if (run.state === 'finished' || run.state === 'aborted') return run.state
      return await this.#goOn(client, run)
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  /** The record as it is; a move that has ended is none where a plan begins another. */
  async #look(client: pg.Client): Promise<LiveRun | undefined> {
    const { plan } = this.#options
    const choice = plan ? { path: plan.path, targetSchema: plan.targetSchema } : choiceOf(this.#options)
    if (this.#runId !== '') return requireLiveRun(client, { runId: this.#runId })
    const run = plan ? await findLiveRun(client, choice) : await requireLiveRun(client, choice)
    return plan && (run?.state === 'finished' || run?.state === 'aborted') ? undefined : run
  }

  /** Copies, or goes on copying, and then follows. */
  async #begin(client: pg.Client, run: LiveRun | undefined): Promise<Verdict> {
    const plan = this.#options.plan ?? run?.plan
    if (!plan) throw new Error('a move without a plan')
    const { holding, wasHeld } = await this.#copied(client, run, plan)
    if (!holding) return wasHeld ? 'goOn' : 'copyFailed'
    try {
      const held = { run: await requireLiveRun(client, { runId: holding.held.run.id }), epoch: holding.held.epoch }
      if (held.run.state !== 'copied') return held.run.state === 'copying' ? 'copyFailed' : 'goOn'
      await beginFollowing(client, held, this.#options)
      return await this.#follow(client, holding)
    } finally {
      await holding.release()
    }
  }

  async #copied(
    client: pg.Client,
    run: LiveRun | undefined,
    plan: MovePlan,
  ): Promise<{ readonly holding?: Holding; readonly wasHeld: boolean }> {
    const isReplacing = this.#options.onExisting === 'replace' && this.#runId === ''
    if (run?.state === 'copied' && !isReplacing) {
      this.#runId = run.id
      if (await isHeldByAnother(client, run)) return this.#standAside(run)
      return { holding: await holdMove(client, run.id, this.#options, run), wasHeld: false }
    }
    const onExisting = this.#runId === '' ? (this.#options.onExisting ?? (run ? 'resume' : 'refuse')) : 'resume'
    const onBegun = (id: string): void => {
      this.#runId = id
    }
    const { report, holding } = await copyLive(plan, { ...this.#options, onExisting, onBegun })
    this.#copy = report
    return { holding, wasHeld: false }
  }

  /** A command is at work, which ends by itself, or another process like this one. */
  async #standAside({ holder }: LiveRun): Promise<{ readonly wasHeld: true }> {
    const who = `pid ${holder?.pid ?? 'unknown'} on ${holder?.host ?? 'unknown'}`
    if (this.#standsAsideFor !== who) this.#notice(`The move is held by ${who}; this process goes on when that one lets go.`)
    this.#standsAsideFor = who
    await this.#rest(standAsideMs)
    return { wasHeld: true }
  }

  async #goOn(client: pg.Client, found: LiveRun): Promise<Verdict> {
    if (await isHeldByAnother(client, found)) {
      await this.#standAside(found)
      return 'goOn'
    }
    if (found.state === 'rolledBack' && !this.#isAsked) {
      await this.#rest(standAsideMs)
      return 'goOn'
    }
    if (await this.#wasReconciled(client, found)) return 'goOn'
    // Not from a command that came between the look and this: it ends by itself.
    const holding = await holdMove(client, found.id, this.#options, found)
    try {
      return await this.#conduct(client, holding)
    } finally {
      await holding.release()
    }
  }

  /** True where the file was opened without Postgres, and the record was brought in line with it. */
  async #wasReconciled(client: pg.Client, found: LiveRun): Promise<boolean> {
    const file = await openMoveFile(this.#options)
    try {
      return (await reconcileRecord(client, file, found, this.#options)).epoch !== found.epoch
    } finally {
      file.close()
    }
  }

  async #conduct(client: pg.Client, holding: Holding): Promise<Verdict> {
    const { state } = await this.#settled(client, holding)
    if (state === 'following') return this.#follow(client, holding)
    if (state === 'mirroring') return this.#mirror(client, holding)
    return 'goOn'
  }

  /** What was left behind is finished or undone, and a move that was rolled back made ready to follow again. */
  async #settled(client: pg.Client, { held }: Holding): Promise<LiveRun> {
    const file = await openMoveFile(this.#options)
    try {
      if (held.run.state === 'cuttingOver') return (await settleCutover(client, file, held, this.#options)).run
      if (held.run.state === 'rollingBack') return (await settleRollback(client, file, held, this.#options)).run
      if (held.run.state === 'rolledBack') return await this.#followAgain(client, held)
      await takeFile(file, held)
      // Of a cutover that did not come to its pause: indexes in the way of following, a slot that keeps WAL.
      if (held.run.state === 'following') await unprepare(client, held, this.#options)
      return held.run
    } finally {
      file.close()
    }
  }

  async #followAgain(client: pg.Client, held: HeldRun): Promise<LiveRun> {
    await unprepare(client, held, this.#options)
    const after = await advance(client, held, 'rolledBack', 'following')
    this.#options.onEvent?.({ type: 'state', from: 'rolledBack', to: 'following' })
    return after.run
  }

  async #follow(client: pg.Client, holding: Holding): Promise<Verdict> {
    const held = await this.#current(client, holding)
    const untilReady = this.#options.until === 'ready'
    await this.#alive(client, holding, (signal) => followAlong({ ...this.#options, held, signal, untilReady }))
    return 'ready'
  }

  async #mirror(client: pg.Client, holding: Holding): Promise<Verdict> {
    const held = await this.#current(client, holding)
    for (const name of await validateForeignKeys(client, held)) {
      this.#notice(`The foreign key ${name} holds for new rows only, since rows of the file break it.`)
    }
    const untilReady = this.#options.until === 'ready'
    await this.#alive(client, holding, (signal) => mirrorAlong({ ...this.#options, held, signal, untilReady }))
    return 'ready'
  }

  async #current(client: pg.Client, { held }: Holding): Promise<HeldRun> {
    const run = await requireLiveRun(client, { runId: held.run.id })
    this.#runId = run.id
    this.#state = run.state
    return { run, epoch: held.epoch }
  }

  /** Works until the caller stops it or the move is lost to another process; then for the reason of that. */
  async #alive<T>(client: pg.Client, { held, lost }: Holding, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#isAsked = false
    this.#standsAsideFor = ''
    try {
      return await work(AbortSignal.any([this.#stop, lost]))
    } catch (error) {
      if (this.#stop.aborted) throw error
      if (lost.aborted) throw lost.reason
      // Whoever took the move over may have taken tables away already: that it is lost is then the reason, and the error only a sign of it.
      await beat(client, held).catch((failed: unknown) => {
        if (isTidemarkError(failed, 'TM_MOVE_FENCED')) throw failed
      })
      throw error
    }
  }
}

/**
 * Begins a live move or goes on with one, from whatever state it is in, and keeps it going until the signal, its end, or (if that was asked for)
 * until it is ready for the cutover. Stopped or killed, the same call goes on. Lost connections and locked files are waited out. Raises what
 * does not pass by itself: TM_MOVE_NO_PLAN, TM_MOVE_TARGET_NOT_EMPTY, TM_MOVE_SCHEMA_CHANGED, TM_SQLITE_CHANGED ….
 */
export const conduct = (options: ConductOptions): Promise<ConductReport> => new Conductor(options).run()

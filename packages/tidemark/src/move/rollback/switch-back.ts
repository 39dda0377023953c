/** One attempt at a rollback: the mirror comes close first, then the pause, and whatever fails is undone. */
import type pg from 'pg'
import { isTidemarkError, reasonOf } from '../../errors.js'
import { formatPosition, type Position, parseLsn } from '../../feed/position.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import type { CaptureDatabase } from '../../sqlite/capture/capture.js'
import { openAgain } from '../../sqlite/capture/cut.js'
import { logHead } from '../../sqlite/capture/log.js'
import { systemClock } from '../../time/clock.js'
import type { Checks } from '../checks/checks.js'
import { openChecks } from '../checks/open-checks.js'
import { type Attempt, defaultMaxPauseMs } from '../live/attempt.js'
import { crashPoint } from '../live/crash-point.js'
import { captureHold } from '../live/file.js'
import { checkGate, differenceError, gateError } from '../live/gate.js'
import type { HeldRun } from '../live/live-run.js'
import { mostLeft, Patience } from '../live/patience.js'
import { Pause } from '../live/pause.js'
import { advance } from '../live/record.js'
import { connectMove } from '../live/session.js'
import type { Mirror } from '../mirror/mirror.js'
import { openMirror } from '../mirror/open-mirror.js'
import { fencePostgres } from './fence-postgres.js'
import { endRollback, settleRollback } from './settle-rollback.js'

export interface SwitchedBack {
  readonly held: HeldRun
  readonly pauseMs: number
  readonly position: string
  /** Triggers of the application that could not be put back. */
  readonly lostTriggers: readonly string[]
}

interface Tools {
  readonly mirror: Mirror
  readonly checks: Checks
}

const headOf = (file: CaptureDatabase): Promise<bigint> => file.read(logHead)

/** Mirrors and compares until little is left. Raises TM_MOVE_GATE where that takes too long, or rows stay different. */
const catchUp = async ({ client, held, file, options, signal }: Attempt, { mirror, checks }: Tools): Promise<void> => {
  const patience = new Patience(options.clock ?? systemClock)
  for (;;) {
    signal.throwIfAborted()
    const { caughtUp } = await mirror.tick()
    const head = await headOf(file)
    const mirroredPosition = formatPosition(mirror.position())
    const { checkedSeq, differences } = await checks.tick({ appliedSeq: head, mirroredPosition })
    const isNear = caughtUp && head - checkedSeq <= mostLeft
    const differing = differences + (await mirror.differences())
    if (isNear && differing === 0) return
    if (patience.differsToStay(differing) && isNear) throw await differenceError(client, 'rollback', held.run)
    if (!patience.isOver) continue
    const fix = 'Let `tidemark move follow` run until `tidemark move status` shows no lag, and roll back when less is going on.'
    throw gateError('rollback', held.run.path, 'the file does not catch up with the writes to Postgres', fix)
  }
}

/** Where the log of Postgres stands. After the fence's commit, everything that any client has written is before it. */
const currentPosition = async (client: pg.Client, { epoch }: Position): Promise<Position> => {
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
  return { epoch, number: parseLsn(rows[0]!.lsn) }
}

interface Opened {
  readonly position: string
  readonly head: bigint
  readonly lostTriggers: readonly string[]
}

/** Nobody writes from here on: what is left is mirrored and compared, and the file opens. */
const inPause = async (attempt: Attempt, { mirror, checks }: Tools, pause: Pause): Promise<Opened> => {
  const { client, file, held, steps } = attempt
  const { path } = held.run
  await steps.take('refuse writes', () => fencePostgres(client, held, pause))
  crashPoint('rollback.fenced')
  const position = await steps.take('drain', async () => {
    const end = await currentPosition(client, mirror.position())
    await mirror.drainTo(end, { timeoutMs: pause.remainingMs })
    return formatPosition(end)
  })
  pause.check('bringing the last changes into the file')
  crashPoint('rollback.drained')
  const before = await headOf(file)
  await steps.take('compare', async () => {
    if ((await mirror.differences()) > 0) throw await differenceError(client, 'rollback', held.run)
    checkGate('rollback', path, await checks.gate({ appliedSeq: before, head: before, mirroredPosition: position }))
  })
  pause.check('comparing the last changes')
  crashPoint('rollback.compared')
  const wait = { timeoutMs: pause.remainingMs, signal: attempt.signal }
  const { head, lostTriggers } = await steps.take('open the file', () => openAgain(file, captureHold(held), wait))
  crashPoint('rollback.opened')
  return { position, head, lostTriggers: lostTriggers.map(({ name, reason }) => `${name} (${reason})`) }
}

/** Why the pause failed, as the caller is to see it. */
const reasonForUndoing = ({ signal }: Attempt, pause: Pause, error: unknown): unknown => {
  if (signal.aborted) return signal.reason
  if (isTidemarkError(error, 'TM_SQLITE_LOCKED'))
    return pause.exceeded('waiting for a lock on the file that another program holds', error)
  if (isTidemarkError(error, 'TM_TIME_TIMEOUT')) return pause.exceeded('bringing the last changes into the file', error)
  if (isTidemarkError(error)) return error
  if (/^(?:55P03|57014)$/.test(sqlstateOf(error) ?? '')) return pause.exceeded('waiting for locks in Postgres', error)
  return error
}

/** Settles by the control row, over a session of its own: where the file is open after all, the rollback stands. */
const undo = async (attempt: Attempt, pause: Pause, error: unknown): Promise<never> => {
  const { file, held, options } = attempt
  const reason = reasonForUndoing(attempt, pause, error)
  if (isTidemarkError(reason, 'TM_MOVE_FENCED')) throw reason
  const { onEvent: _told, signal: _stopped, ...quiet } = options
  const settle = async (): Promise<void> => {
    const client = await connectMove(options.target)
    try {
      await settleRollback(client, file, held, { ...quiet, reason: `undone: ${reasonOf(reason)}` })
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  await settle().catch((undoing: unknown) => {
    options.onEvent?.({
      type: 'notice',
      message: `Undoing is not complete; \`tidemark move rollback\` completes it: ${reasonOf(undoing)}`,
    })
  })
  throw reason
}

/** The file is open: what Postgres has to be told may wait, if it has to. */
const end = async ({ client, held, options }: Attempt, { head }: Opened, note: string): Promise<HeldRun> => {
  try {
    return await endRollback(client, held, { note, head }, options)
  } catch (error) {
    const message = `SQLite takes the writes again. Postgres could not be told yet, which the next command makes up for: ${reasonOf(error)}`
    options.onEvent?.({ type: 'notice', message })
    return held
  }
}

const pauseAndOpen = async (attempt: Attempt, tools: Tools): Promise<SwitchedBack> => {
  const { client, held, options, signal, steps } = attempt
  const { maxPauseMs = defaultMaxPauseMs, clock = systemClock } = options
  await advance(client, held, 'mirroring', 'rollingBack')
  crashPoint('rollback.noted')
  const pause = new Pause({ kind: 'rollback', path: held.run.path, maxPauseMs, signal, clock })
  try {
    const opened = await inPause(attempt, tools, pause)
    const pauseMs = pause.elapsedMs
    await tools.mirror.close()
    const note = `after ${Math.round(pauseMs)} ms without writes`
    const after = await steps.take('end', () => end(attempt, opened, note))
    return { held: after, pauseMs, position: opened.position, lostTriggers: opened.lostTriggers }
  } catch (error) {
    return await undo(attempt, pause, error)
  } finally {
    pause.stop()
  }
}

/** Raises TM_MOVE_GATE, TM_MOVE_PAUSE, TM_MOVE_FENCED with everything undone. */
export const switchBack = async (attempt: Attempt): Promise<SwitchedBack> => {
  const { held, options, steps, signal } = attempt
  const { target, feedTarget, onEvent, clock = systemClock } = options
  const shared = { held, target, signal, clock, ...(onEvent && { onEvent }) }
  const mirror = await openMirror({ ...shared, ...(feedTarget && { feedTarget }) })
  try {
    const checks = await openChecks({ ...shared, direction: 'mirror', share: 1 })
    try {
      await steps.take('catch up', () => catchUp(attempt, { mirror, checks }))
      return await pauseAndOpen(attempt, { mirror, checks })
    } finally {
      await checks.close()
    }
  } finally {
    await mirror.close()
  }
}

/** One attempt at a cutover: everything that takes time first, then the pause, and whatever fails is undone. */
import { isTidemarkError, reasonOf } from '../../errors.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { beginCut, seal } from '../../sqlite/capture/cut.js'
import { watchSchema } from '../../sqlite/capture/watch.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { Checks } from '../checks/checks.js'
import { openChecks } from '../checks/open-checks.js'
import type { Follow } from '../follow/follow.js'
import { openFollow } from '../follow/open-follow.js'
import { type Attempt, defaultMaxPauseMs } from '../live/attempt.js'
import { blockersOf } from '../live/blockers.js'
import { crashPoint } from '../live/crash-point.js'
import { captureHold } from '../live/file.js'
import { checkGate, gateError, named } from '../live/gate.js'
import type { HeldRun } from '../live/live-run.js'
import { Pause } from '../live/pause.js'
import { advance } from '../live/record.js'
import { makeUniques, type UnmadeObject } from '../live/waiting.js'
import type { PreparedMirror } from '../mirror/mirror.js'
import { prepareMirror } from '../mirror/prepare-mirror.js'
import { unwritableTables } from '../mirror/rehearse-writes.js'
import { catchUp } from './catch-up.js'
import { flip } from './flip.js'
import { rehearse } from './rehearse.js'
import { setSequences } from './sequences.js'
import { undoCutover, unprepare } from './settle-cutover.js'

/** The file opens by itself so much later than the pause may last: an undoing process is to be the one that opens it. */
const expiryMarginMs = 1_000

export interface Switched {
  readonly held: HeldRun
  readonly pauseMs: number
}

const clockOf = ({ options }: Attempt): Clock => options.clock ?? systemClock

const refuseUnmade = ({ held }: Attempt, unmade: readonly UnmadeObject[]): void => {
  if (unmade.length === 0) return
  const names = unmade.map(({ name, table, reason }) => `${name}${table ? ` on ${table}` : ''} (${reason})`)
  const fix = 'Correct the rows in the file, or begin again with a choice that leaves the constraint out.'
  throw gateError('cutover', held.run.path, `what waits in Postgres cannot be made: ${named(names)}`, fix)
}

const refuseUnwritable = async ({ file, held }: Attempt): Promise<void> => {
  const unwritable = await unwritableTables(file, held)
  if (unwritable.length === 0) return
  const tables = unwritable.map(({ table, reason }) => `${table} (${reason})`)
  const fix =
    'There would be no way back. Take what only the application knows (functions, collations) out of the checks, generated columns and indexes of the file, or begin again and leave these tables out with --exclude.'
  throw gateError('cutover', held.run.path, `changes could not be mirrored into the file: ${named(tables)}`, fix)
}

/** Unique indexes, a rehearsal of the rest, and the mirror's slot: all that takes time, while the application goes on writing. */
const prepare = async (attempt: Attempt): Promise<PreparedMirror> => {
  const { client, held, options, steps, signal } = attempt
  const onEvent = options.onEvent ?? (() => {})
  await steps.take('rehearse the mirror', () => refuseUnwritable(attempt))
  refuseUnmade(attempt, await steps.take('build unique indexes', () => makeUniques(client, held, onEvent, signal)))
  const { unmade, orphaned } = await steps.take('rehearse', () => rehearse(client, held))
  refuseUnmade(attempt, unmade)
  const broken = orphaned.map(({ name, table, orphans }) => `${name} on ${table}: ${orphans} row(s) without a parent`)
  if (broken.length > 0 && held.run.plan.into === 'existing') {
    const fix = 'Add the parents or remove the rows in the file; these foreign keys held before the move.'
    throw gateError('cutover', held.run.path, `rows break foreign keys: ${named(broken)}`, fix)
  }
  for (const each of broken) onEvent({ type: 'notice', message: `A foreign key will hold for new rows only. ${each}.` })
  return steps.take('prepare the mirror', () => prepareMirror({ ...options, held, signal }))
}

/** Nobody writes from here on: what is left is applied and compared, ids go on, and the writer changes. */
const inPause = async (
  attempt: Attempt,
  { follow, checks, mirror, pause }: { follow: Follow; checks: Checks; mirror: PreparedMirror; pause: Pause },
): Promise<HeldRun> => {
  const { client, file, held, options, steps } = attempt
  const { path, plan } = held.run
  const hold = captureHold(held)
  const maxPauseMs = options.maxPauseMs ?? defaultMaxPauseMs
  // The time that is left ends a wait for the file's lock, as an error that says what it was for.
  const wait = () => ({ timeoutMs: pause.remainingMs, signal: attempt.signal })
  await steps.take('refuse writes', async () => {
    const { schemaVersion } = await file.read((db) => watchSchema(db), wait())
    await beginCut(file, hold, { pauseMs: maxPauseMs + expiryMarginMs, schemaVersion, ...wait() })
  })
  crashPoint('cutover.fenced')
  const head = await steps.take('drain', () => follow.drain(pause.signal))
  pause.check('bringing the last changes over')
  crashPoint('cutover.drained')
  await steps.take('compare', async () => checkGate('cutover', path, await checks.gate({ appliedSeq: head, head })))
  pause.check('comparing the last changes')
  crashPoint('cutover.compared')
  await steps.take('ids', async () => {
    await client.query(`SET statement_timeout = ${pause.remainingMs}`)
    await setSequences(client, file, plan)
    await client.query('SET statement_timeout = 0')
  })
  pause.check('setting ids')
  const note = `after ${Math.round(pause.elapsedMs)} ms without writes`
  return steps.take('switch', () =>
    flip(client, { ...options, held, mirror, pause, note, seal: () => seal(file, hold, { drainedSeq: head, ...wait() }) }),
  )
}

/** Why the pause failed, as the caller is to see it: a time that ran out in whatever form is TM_MOVE_PAUSE. */
const reasonForUndoing = async (attempt: Attempt, pause: Pause, error: unknown): Promise<unknown> => {
  const { client, held, signal } = attempt
  if (signal.aborted) return signal.reason
  if (isTidemarkError(error, 'TM_SQLITE_LOCKED')) {
    return pause.exceeded('waiting for a lock on the file that another program holds, perhaps by a long read', error)
  }
  if (isTidemarkError(error)) return error
  if (/^(?:55P03|57014|40P01)$/.test(sqlstateOf(error) ?? '')) {
    const blockers = await blockersOf(client, held.run.plan).catch(() => [])
    return pause.exceeded(`waiting for locks in Postgres${blockers.length > 0 ? ` held by ${named(blockers)}` : ''}`, error)
  }
  return pause.isOver ? pause.exceeded('at work', error) : error
}

const undo = async (attempt: Attempt, pause: Pause, error: unknown): Promise<never> => {
  const { file, held, options } = attempt
  if (isTidemarkError(error, 'TM_MOVE_UNDECIDED')) throw error
  const reason = await reasonForUndoing(attempt, pause, error)
  // Whoever took the move over sees to it.
  if (isTidemarkError(reason, 'TM_MOVE_FENCED')) throw reason
  await undoCutover(file, held, { ...options, reason: `undone: ${reasonOf(reason)}` }).catch((undoing: unknown) => {
    options.onEvent?.({ type: 'notice', message: `Undoing is not complete; following completes it: ${reasonOf(undoing)}` })
  })
  throw reason
}

const pauseAndFlip = async (
  attempt: Attempt,
  tools: { follow: Follow; checks: Checks; mirror: PreparedMirror },
): Promise<Switched> => {
  const { client, held, options, signal } = attempt
  const maxPauseMs = options.maxPauseMs ?? defaultMaxPauseMs
  await advance(client, held, 'following', 'cuttingOver')
  crashPoint('cutover.noted')
  const pause = new Pause({ kind: 'cutover', path: held.run.path, maxPauseMs, signal, clock: clockOf(attempt) })
  try {
    const after = await inPause(attempt, { ...tools, pause })
    return { held: after, pauseMs: pause.elapsedMs }
  } catch (error) {
    return await undo(attempt, pause, error)
  } finally {
    pause.stop()
  }
}

/** Raises TM_MOVE_GATE, TM_MOVE_PAUSE, TM_MOVE_FENCED with everything undone, TM_MOVE_UNDECIDED. */
export const switchOver = async (attempt: Attempt): Promise<Switched> => {
  const { client, held, options, steps, signal } = attempt
  const clock = clockOf(attempt)
  const { target, onEvent } = options
  const shared = { held, target, signal, clock, ...(onEvent && { onEvent }) }
  const follow = await openFollow(shared)
  const checks = await openChecks({ ...shared, direction: 'follow', share: 1 }).catch(async (error: unknown) => {
    await follow.close()
    throw error
  })
  let noted = false
  try {
    const near = { client, run: held.run, follow, checks, clock, signal }
    await steps.take('catch up', () => catchUp(near))
    const mirror = await prepare(attempt)
    crashPoint('cutover.prepared')
    await steps.take('catch up again', () => catchUp(near))
    noted = true
    return await pauseAndFlip(attempt, { follow, checks, mirror })
  } catch (error) {
    if (!noted && !isTidemarkError(error, 'TM_MOVE_FENCED')) await unprepare(client, held, options).catch(() => undefined)
    throw error
  } finally {
    await checks.close()
    await follow.close()
  }
}

/** The verbs of a live move, for the command line and for /admin/v1 alike. */
import { z } from 'zod'
import type { ConductReport } from '../../../move/live/conductor.js'
import type { SwitchOptions } from '../../../move/live/switch-options.js'
import type { MovePlan } from '../../../move/move.js'
import type { ConnectOptions } from '../../../postgres/driver/connect.js'
import { parseDuration } from '../../../time/durations.js'
import type { Database } from '../../database/database.js'
import type { Project } from '../../project/project.js'
import { resolveFile } from './files.js'
import { copyRequest, type PlanRequest, planInto, type Run, workersOf } from './move.js'

const file = z.string().min(1).max(4096)

const which = {
  /** Path of the SQLite file on the machine of the server. */
  file,
  /** Connection string of another Postgres than the project's. */
  to: z.string().min(1).optional(),
  /** Where the file is being moved into several schemas. */
  schema: z.string().min(1).max(63).optional(),
}

const maxPause = z
  .union([z.int().min(1), z.string()])
  .transform((given, context) => {
    const ms = typeof given === 'number' ? given : parseDuration(given)
    if (ms !== undefined && ms >= 1 && ms <= 600_000) return ms
    context.addIssue({ code: 'custom', message: 'a duration from 1ms to 10m, as in 2s' })
    return z.NEVER
  })
  .optional()

const switching = {
  ...which,
  /** How long writes may be refused. Milliseconds, or a duration as in `2s`. Default 2 s. */
  maxPause,
  /** A command to run when the switch is done, as its arguments. */
  onSwitch: z.array(z.string()).min(1).readonly().optional(),
}

const liveRequest = z.strictObject(which)
export const fileRequest = z.strictObject({ file })
export const followRequest = copyRequest.extend({
  /** `ready`: answers when a cutover would be let through; `ended`: when the move has ended, or the call was cancelled. */
  until: z.enum(['ready', 'ended']).default('ready'),
})
export const cutoverRequest = z.strictObject(switching)
export const rollbackRequest = z.strictObject(switching)
export const readsRequest = z.strictObject({ ...which, percent: z.int().min(0).max(100) })
export const finishRequest = z.strictObject({ ...which, yes: z.boolean().default(false) })
export const abortRequest = z.strictObject({ ...which, keepTables: z.boolean().default(false) })
export const exportRequest = z.strictObject({ ...which, out: file })

export type LiveRequest = z.input<typeof liveRequest>
export type FollowRequest = z.input<typeof followRequest>
export type SwitchRequest = z.input<typeof cutoverRequest>
export type ReadsRequest = z.input<typeof readsRequest>
export type FinishRequest = z.input<typeof finishRequest>
export type AbortRequest = z.input<typeof abortRequest>
export type ExportRequest = z.input<typeof exportRequest>

/** The connection that reads the write-ahead log: the role made for it, which no other right. */
export const feedTarget = ({ target, urls }: Pick<Database, 'target' | 'urls'>): ConnectOptions => ({ ...target, url: urls.feed })

/** What every verb is given: the file, the Postgres, and who listens. */
const withMove = <T>(
  project: Project,
  { file: path, to, schema }: LiveRequest,
  run: Run,
  verb: (options: SwitchOptions) => Promise<T>,
): Promise<T> =>
  project.withDatabase(to, async (database) =>
    verb({
      ...run,
      path: await resolveFile(project.cwd, path),
      target: database.target,
      feedTarget: feedTarget(database),
      ...(schema !== undefined && { targetSchema: schema }),
    }),
  )

const switchOptions = (request: SwitchRequest): Pick<SwitchOptions, 'maxPauseMs' | 'onSwitch'> => {
  const { maxPause: maxPauseMs, onSwitch } = cutoverRequest.parse(request)
  return { ...(maxPauseMs !== undefined && { maxPauseMs }), ...(onSwitch && { onSwitch }) }
}

/** True where the target knows a move of this file that has not ended: it is gone on with under its own plan. */
export const isUnderWay = (project: Project, request: LiveRequest, run: Run): Promise<boolean> =>
  withMove(project, request, run, async ({ path, target, targetSchema }) => {
    const [{ findLiveRun }, { withSession }] = await Promise.all([
      import('../../../move/live/record.js'),
      import('../../../move/live/session.js'),
    ])
    const found = await withSession({ path, target }, (client) => findLiveRun(client, { path, targetSchema }))
    return found !== undefined && found.state !== 'finished' && found.state !== 'aborted'
  })

/** The plan of a move that follows its file. */
export const livePlan = (project: Project, request: PlanRequest, run: Run): Promise<MovePlan> =>
  request.into === 'existing'
    ? project.withDatabase(request.to, (database) => planInto(project, request, run, { database, thorough: true, live: true }))
    : planInto(project, request, run, { thorough: true, live: true })

/**
 * Copies and follows, or goes on with the move that there is, from whatever state. `plan` begins one; without it the move on record is gone
 * on with, and TM_MOVE_NO_PLAN raised where there is none.
 */
export const moveConduct = (project: Project, request: FollowRequest, run: Run, plan?: MovePlan): Promise<ConductReport> =>
  withMove(project, { file: request.file, to: request.to, schema: request.schema }, run, async (options) => {
    const { conduct } = await import('../../../move/live/conductor.js')
    return conduct({
      ...options,
      ...workersOf(project, request),
      transactionBytes: project.config.move.chunkBytes,
      until: request.until ?? 'ready',
      ...(plan && { plan, onExisting: request.onExisting ?? 'refuse' }),
    })
  })

/** {@link moveConduct} for whoever has no plan at hand: makes one where no move of the file is under way. */
export const moveFollow = async (project: Project, request: FollowRequest, run: Run): Promise<ConductReport> => {
  const { until: _until, onExisting: _onExisting, workers: _workers, ...planned } = request
  const { file: path, to, schema } = request
  const goesOn = request.onExisting !== 'replace' && (await isUnderWay(project, { file: path, to, schema }, run))
  return moveConduct(project, request, run, goesOn ? undefined : await livePlan(project, planned, run))
}

/** Switches the application's writes to Postgres. Raises TM_MOVE_GATE, TM_MOVE_PAUSE, TM_MOVE_STATE. */
export const moveCutover = (project: Project, request: SwitchRequest, run: Run) =>
  withMove(project, request, run, async (options) => {
    const { cutover } = await import('../../../move/cutover/cutover.js')
    return cutover({ ...options, ...switchOptions(request) })
  })

/** Switches them back, with everything that Postgres took meanwhile. */
export const moveRollback = (project: Project, request: SwitchRequest, run: Run) =>
  withMove(project, request, run, async (options) => {
    const { rollback } = await import('../../../move/rollback/rollback.js')
    return rollback({ ...options, ...switchOptions(request) })
  })

/** Opens the file again while Postgres is dead. Asks no database. */
export const moveRollbackWithoutPostgres = async (project: Project, request: Pick<LiveRequest, 'file'>) => {
  const { rollbackWithoutPostgres } = await import('../../../move/rollback/rollback-without-postgres.js')
  return rollbackWithoutPostgres({ path: await resolveFile(project.cwd, request.file) })
}

/** Which share of the reads Postgres answers before the cutover. */
export const moveReads = (project: Project, request: ReadsRequest, run: Run) =>
  withMove(project, request, run, async (options) => {
    const { setReads } = await import('../../../move/live/reads.js')
    return setReads({ ...options, percent: request.percent })
  })

/** Ends the move for good: the way back is closed. */
export const moveFinish = (project: Project, request: FinishRequest, run: Run) =>
  withMove(project, request, run, async (options) => {
    const { finish } = await import('../../../move/live/finish.js')
    return finish({ ...options, yes: request.yes ?? false })
  })

/** Takes the move back before the cutover: both sides are as if it had never been. */
export const moveAbort = (project: Project, request: AbortRequest, run: Run) =>
  withMove(project, request, run, async (options) => {
    const { abort } = await import('../../../move/live/abort.js')
    return abort({ ...options, keepTables: request.keepTables ?? false })
  })

/** Writes what Postgres holds into a new SQLite file (R90). */
export const moveExport = (project: Project, request: ExportRequest, run: Run) =>
  withMove(project, request, run, async (options) => {
    const [{ exportMove }, { requireLiveRun }, { withSession, choiceOf }] = await Promise.all([
      import('../../../move/export/export-move.js'),
      import('../../../move/live/record.js'),
      import('../../../move/live/session.js'),
    ])
    const found = await withSession(options, (client) => requireLiveRun(client, choiceOf(options)))
    return exportMove({ run: found, target: options.target, outPath: await resolveFile(project.cwd, request.out), ...run })
  })

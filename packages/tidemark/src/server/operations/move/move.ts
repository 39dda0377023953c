import { z } from 'zod'
import { configSources } from '../../../config/config.js'
import { TidemarkError } from '../../../errors.js'
import type { CopyReport, MoveListener, MovePlan, VerifyReport } from '../../../move/move.js'
import type { Database } from '../../database/database.js'
import type { Project } from '../../project/project.js'
import { resolveFile } from './files.js'

const path = z.string().min(1).max(4096)
const name = z.string().min(1)

const planFields = {
  /** Path of the SQLite file on the machine of the server. */
  file: path,
  /** Connection string of another Postgres than the project's. */
  to: z.string().min(1).optional(),
  schema: name.max(63).optional(),
  into: z.enum(['new', 'existing']).optional(),
  map: path.optional(),
  choices: path.optional(),
  names: z.enum(['exact', 'lower']).optional(),
  exclude: z.array(name).optional(),
}

const copyFields = {
  onExisting: z.enum(['refuse', 'resume', 'replace']).default('refuse'),
  workers: z.int().min(1).max(64).optional(),
}

const verifyFields = {
  tables: z.array(name).min(1).optional(),
  maxDifferences: z.int().min(0).max(10_000).optional(),
}

export const planRequest = z.strictObject(planFields)
export const copyRequest = z.strictObject({ ...planFields, ...copyFields })
export const verifyRequest = z.strictObject({ ...planFields, ...verifyFields })
export const moveStatusRequest = z.strictObject({ file: path.optional(), to: z.string().min(1).optional() })
export const rejectsRequest = moveStatusRequest.extend({ limit: z.coerce.number().int().min(1).max(10_000).default(100) })

export type PlanRequest = z.input<typeof planRequest>
export type CopyRequest = z.input<typeof copyRequest>
export type VerifyRequest = z.input<typeof verifyRequest>

/** What a long operation is given by whoever runs it. */
export interface Run {
  readonly onEvent: MoveListener
  readonly signal: AbortSignal
}

interface PlanHow {
  readonly database?: Database
  /** Reads every value, to foretell each reject. The decisions are the same without. */
  readonly thorough: boolean
  /** For a move that follows its file. */
  readonly live?: boolean
}

export const planInto = async (
  project: Project,
  request: PlanRequest,
  run: Run,
  { database, thorough, live = false }: PlanHow,
): Promise<MovePlan> => {
  const { planMove } = await import('../../../move/plan/plan.js')
  const file = await resolveFile(project.cwd, request.file)
  const map = request.map === undefined ? undefined : await resolveFile(project.cwd, request.map)
  const choices = request.choices === undefined ? undefined : await resolveFile(project.cwd, request.choices)
  return planMove({
    path: file,
    thorough,
    live,
    ...run,
    ...(request.schema !== undefined && { schema: request.schema }),
    ...(request.names !== undefined && { identifiers: request.names }),
    ...(request.into !== undefined && { into: request.into }),
    ...(map !== undefined && { mapPath: map }),
    ...(choices !== undefined && { choicesPath: choices }),
    ...(request.exclude !== undefined && { exclude: request.exclude }),
    ...(database && { target: database.target }),
  })
}

/** Reads the file and says what would become of it. Writes nothing; Postgres is asked only for a move into tables that exist. */
export const movePlan = (project: Project, request: PlanRequest, run: Run): Promise<MovePlan> =>
  request.into === 'existing'
    ? project.withDatabase(request.to, (database) => planInto(project, request, run, { database, thorough: true }))
    : planInto(project, request, run, { thorough: true })

/** The error behind a copy whose report says that rows were left behind against the choices; undefined where none were. */
export const rejectsError = ({ unallowedRejects }: CopyReport, choices: string): TidemarkError | undefined =>
  unallowedRejects > 0 ? new TidemarkError('TM_MOVE_REJECTS', { count: unallowedRejects, choices }) : undefined

/** The error behind a verification that found differences; undefined where it found none. */
export const differsError = ({ ok, tables }: VerifyReport): TidemarkError | undefined =>
  ok
    ? undefined
    : new TidemarkError('TM_MOVE_DIFFERS', {
        count: tables.reduce((sum, { missing, extra, differing }) => sum + missing + extra + differing, 0),
      })

export interface CopyOutcome {
  readonly plan: MovePlan
  readonly report: CopyReport
}

/** The copy knows best how many threads a file is worth, unless somebody said. */
export const workersOf = ({ config }: Project, { workers }: Pick<CopyRequest, 'workers'>): { readonly workers?: number } => {
  if (workers !== undefined) return { workers }
  return (configSources(config).get('move.workers') ?? 'default') === 'default' ? {} : { workers: config.move.workers }
}

/** Plans, then opens Postgres: a file that cannot be moved starts nothing. A map of tables that exist needs Postgres for the plan. */
const planned = <T>(
  project: Project,
  request: PlanRequest,
  run: Run,
  then: (plan: MovePlan, database: Database) => Promise<T>,
): Promise<T> => {
  const { to } = request
  if (request.into === 'existing') {
    return project.withDatabase(to, async (database) =>
      then(await planInto(project, request, run, { database, thorough: false }), database),
    )
  }
  return planInto(project, request, run, { thorough: false }).then((plan) =>
    project.withDatabase(to, (database) => then(plan, database)),
  )
}

/**
 * Plans and copies. That rows were left behind is in the report, see {@link rejectsError}.
 * Raises TM_MOVE_TARGET_NOT_EMPTY and the others of move/copy.
 */
export const moveCopy = (project: Project, request: CopyRequest, run: Run): Promise<CopyOutcome> =>
  planned(project, request, run, async (plan, { target }) => {
    const { copyMove } = await import('../../../move/copy/copy.js')
    const onExisting = request.onExisting ?? 'refuse'
    const transactionBytes = project.config.move.chunkBytes
    return {
      plan,
      report: await copyMove(plan, { ...run, target, onExisting, transactionBytes, ...workersOf(project, request) }),
    }
  })

/** Compares the file with what a copy made of it. A difference is an answer, not an error. */
export const moveVerify = (project: Project, request: VerifyRequest, run: Run): Promise<VerifyReport> =>
  planned(project, request, run, async (plan, { target }) => {
    const { verifyMove } = await import('../../../move/verify/verify.js')
    return verifyMove(plan, {
      ...run,
      target,
      ...(request.tables !== undefined && { tables: request.tables }),
      ...(request.maxDifferences !== undefined && { maxDifferences: request.maxDifferences }),
    })
  })

const only = async (project: Project, file: string | undefined): Promise<{ readonly path?: string }> =>
  file === undefined ? {} : { path: await resolveFile(project.cwd, file) }

export const moveStatus = (project: Project, request: z.input<typeof moveStatusRequest>) =>
  project.withDatabase(request.to, async ({ target }) => {
    const status = await import('../../../move/status.js')
    return status.moveStatus({ target, ...(await only(project, request.file)) })
  })

export const moveRejects = (project: Project, request: z.output<typeof rejectsRequest>) =>
  project.withDatabase(request.to, async ({ target }) => {
    const status = await import('../../../move/status.js')
    return status.moveRejects({ target, limit: request.limit, ...(await only(project, request.file)) })
  })

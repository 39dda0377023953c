import type { FastifyInstance } from 'fastify'
import { TidemarkError } from '../../errors.js'
import type { Pool } from '../../postgres/postgres.js'
import { validate } from '../http/validate.js'
import type { Jobs } from '../jobs.js'
import type { OverviewInput } from '../operations/overview.js'
import type { Project } from '../project/project.js'
import { auditList, auditRequest } from './audit.js'
import { operatorOf } from './operator.js'
import { seesRows, shownTo } from './rows.js'

export interface OverviewRoutesOptions {
  readonly jobs: Jobs
  /** Raises TM_SERVER_STARTING until Postgres is there. */
  project(): Project
  /** Of requests. Undefined while the server starts. */
  pool(): Pool | undefined
  /** Undefined while the server starts. */
  overview(): Promise<OverviewInput | undefined>
}

const loadBoard = () => import('../operations/move/move-board.js')

/** What the dashboard's screens ask for and commands do not: /overview, /move/board, /move/files and /audit. */
export const addOverviewRoutes = (app: FastifyInstance, options: OverviewRoutesOptions): void => {
  app.get('/overview', async () => {
    const input = await options.overview()
    if (!input) throw new TidemarkError('TM_SERVER_STARTING', {})
    const { overview } = await import('../operations/overview.js')
    return overview(options.project(), input)
  })
  app.get('/move/board', async (request) => {
    const { boardRequest, moveBoard } = await loadBoard()
    const board = await moveBoard(options.project(), validate(boardRequest, request.query), options.jobs)
    return shownTo(operatorOf(request), board)
  })
  app.get('/move/files', async () => (await loadBoard()).moveFiles(options.project()))
  app.get('/audit', async (request) => {
    const pool = options.pool()
    if (!pool) throw new TidemarkError('TM_SERVER_STARTING', {})
    return auditList(pool, validate(auditRequest, request.query), seesRows(operatorOf(request)))
  })
}

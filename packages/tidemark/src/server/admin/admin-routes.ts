import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { TidemarkError } from '../../errors.js'
import { streamJob } from '../http/event-stream.js'
import { validate } from '../http/validate.js'
import type { Jobs } from '../jobs.js'
import { keyReveal, keysList, revealRequest } from '../operations/keys.js'
import * as live from '../operations/move/live-move.js'
import type { Run } from '../operations/move/move.js'
import * as move from '../operations/move/move.js'
import * as schema from '../operations/schema.js'
import { hideSecrets, type ProjectStatus } from '../operations/status.js'
import type { Project } from '../project/project.js'
import { type AlertsRoutesOptions, addAlertsRoutes } from './alerts-routes.js'
import { addBreakerRoutes, type BreakerRoutesOptions } from './breaker-routes.js'
import { addCacheRoutes, type CacheRoutesOptions } from './cache-routes.js'
import { addDataRoutes, type DataRoutesOptions } from './data-routes.js'
import { endWithSession } from './event-response.js'
import { addFeedRoutes, type FeedRoutesOptions, openSharedTails } from './feed-routes.js'
import { type Audit, addGate, type GateOptions } from './gate.js'
import { addHooksRoutes, type HooksRoutesOptions } from './hooks-routes.js'
import { addMachineRoutes, type MachineRoutesOptions } from './machine-routes.js'
import { operatorOf } from './operator.js'
import { addOverviewRoutes, type OverviewRoutesOptions } from './overview-routes.js'
import { addRealtimeAdminRoutes, type RealtimeRoutesOptions } from './realtime-routes.js'
import { seesRows, shownTo } from './rows.js'
import { runJob } from './run-job.js'
import { addSystemsRoutes, type SystemsRoutesOptions } from './systems-routes.js'

export interface AdminRoutesOptions
  extends FeedRoutesOptions,
    CacheRoutesOptions,
    BreakerRoutesOptions,
    AlertsRoutesOptions,
    HooksRoutesOptions,
    OverviewRoutesOptions,
    DataRoutesOptions,
    SystemsRoutesOptions,
    MachineRoutesOptions,
    RealtimeRoutesOptions,
    GateOptions {
  readonly jobs: Jobs
  readonly audit: Audit
  /** Raises TM_SERVER_STARTING until Postgres is there. */
  project(): Project
  status(): Promise<ProjectStatus>
  doctor(): Promise<unknown>
}

const statusQuery = z.strictObject({ showKeys: z.enum(['true', 'false']).optional() })
const schemasQuery = z.strictObject({ schemas: z.string().min(1).optional() })

/** Lists come as one text in a query, separated by commas. */
const schemasOf = (request: FastifyRequest) => {
  if (request.method === 'POST') return validate(schema.schemasRequest, request.body)
  const { schemas } = validate(schemasQuery, request.query)
  return validate(schema.schemasRequest, schemas === undefined ? {} : { schemas: schemas.split(',') })
}

const addSchemaRoutes = (app: FastifyInstance, { project }: AdminRoutesOptions): void => {
  app.route({ method: ['GET', 'POST'], url: '/schema/status', handler: async () => schema.schemaStatus(project()) })
  app.post('/schema/up', async (request) => schema.schemaUp(project(), validate(schema.upRequest, request.body)))
  app.route({
    method: ['GET', 'POST'],
    url: '/schema/diff',
    handler: async (request) => schema.schemaDiff(project(), schemasOf(request)),
  })
  app.route({
    method: ['GET', 'POST'],
    url: '/schema/check',
    handler: async (request) => schema.schemaCheck(project(), schemasOf(request)),
  })
  app.route({
    method: ['GET', 'POST'],
    url: '/schema/types',
    handler: async (request) => schema.schemaTypes(project(), schemasOf(request)),
  })
}

const addMoveRoutes = (app: FastifyInstance, { project, jobs }: AdminRoutesOptions): void => {
  app.post('/move/plan', async (request, reply) => {
    const wanted = validate(move.planRequest, request.body)
    return runJob(jobs, request, reply, 'move.plan', (run) => move.movePlan(project(), wanted, run))
  })
  app.post('/move/copy', async (request, reply) => {
    const wanted = validate(move.copyRequest, request.body)
    return runJob(jobs, request, reply, 'move.copy', async (run) => (await move.moveCopy(project(), wanted, run)).report)
  })
  app.post('/move/verify', async (request, reply) => {
    const wanted = validate(move.verifyRequest, request.body)
    return runJob(jobs, request, reply, 'move.verify', (run) => move.moveVerify(project(), wanted, run))
  })
  // The state, for an application that asks which store is in charge.
  app.get('/move', async (request) => ({
    moves: await move.moveStatus(project(), validate(move.moveStatusRequest, request.query)),
  }))
  app.get('/move/status', async (request) => ({
    moves: await move.moveStatus(project(), validate(move.moveStatusRequest, request.query)),
  }))
  app.get('/move/rejects', async (request) => ({
    rejects: await move.moveRejects(project(), validate(move.rejectsRequest, request.query)),
  }))
}

const addLiveMoveRoutes = (app: FastifyInstance, { project, jobs }: AdminRoutesOptions): void => {
  const verb = <Wanted>(
    name: string,
    schema: z.ZodType<Wanted>,
    operation: (at: Project, wanted: Wanted, run: Run) => Promise<unknown>,
  ): void => {
    app.post(`/move/${name}`, async (request, reply) => {
      const wanted = validate(schema, request.body)
      return runJob(jobs, request, reply, `move.${name}`, (run) => operation(project(), wanted, run))
    })
  }
  verb('follow', live.followRequest, live.moveFollow)
  verb('reads', live.readsRequest, live.moveReads)
  verb('cutover', live.cutoverRequest, live.moveCutover)
  verb('rollback', live.rollbackRequest, live.moveRollback)
  verb('finish', live.finishRequest, live.moveFinish)
  verb('abort', live.abortRequest, live.moveAbort)
  verb('export', live.exportRequest, live.moveExport)
  app.post('/move/rollback-without-postgres', async (request) =>
    live.moveRollbackWithoutPostgres(project(), validate(live.fileRequest, request.body)),
  )
}

const jobOf = (jobs: Jobs, request: FastifyRequest) => {
  const { id } = request.params as { readonly id: string }
  const job = jobs.get(id)
  if (!job) throw new TidemarkError('TM_SERVER_NOT_FOUND', { method: request.method, path: `/admin/v1/jobs/${id.slice(0, 64)}` })
  return job
}

export const addJobRoutes = (app: FastifyInstance, { jobs }: Pick<AdminRoutesOptions, 'jobs'>): void => {
  app.get('/jobs', async (request) => ({ jobs: shownTo(operatorOf(request), jobs.list()) }))
  app.get('/jobs/:id', async (request) => shownTo(operatorOf(request), jobOf(jobs, request).view()))
  app.delete('/jobs/:id', async (request, reply) => {
    const job = jobOf(jobs, request)
    job.cancel()
    return reply.status(202).send(job.view())
  })
  app.get('/jobs/:id/events', (request, reply) => {
    const job = jobOf(jobs, request)
    const lastSeen = Number(request.headers['last-event-id'] ?? 0)
    const operator = operatorOf(request)
    reply.hijack()
    const end = streamJob(job, Number.isSafeInteger(lastSeen) && lastSeen > 0 ? lastSeen : 0, reply.raw, {
      shows: ({ type }) => type !== 'reject' || seesRows(operator),
      view: () => shownTo(operator, job.view()),
    })
    reply.raw.once('close', endWithSession(operator, end))
  })
}

/** Everything below /admin/v1, behind the admin token or an operator's session: what the command line does to a running system, as JSON. */
export const addAdminRoutes = async (app: FastifyInstance, options: AdminRoutesOptions): Promise<void> => {
  await app.register(
    async (admin) => {
      addGate(admin, options, options.audit)
      admin.get('/status', async (request) => {
        const { showKeys } = validate(statusQuery, request.query)
        const status = await options.status()
        return showKeys === 'true' ? status : hideSecrets(status)
      })
      admin.get('/keys', async () => keysList(await options.status()))
      admin.post('/keys/reveal', async (request, reply) => {
        const { name } = validate(revealRequest, request.body)
        reply.header('cache-control', 'no-store')
        return keyReveal(await options.status(), name)
      })
      admin.post('/doctor', async () => options.doctor())
      addSchemaRoutes(admin, options)
      addMoveRoutes(admin, options)
      addLiveMoveRoutes(admin, options)
      const tails = openSharedTails(admin, options)
      addFeedRoutes(admin, options, tails)
      addCacheRoutes(admin, options)
      addBreakerRoutes(admin, options)
      addAlertsRoutes(admin, options)
      addHooksRoutes(admin, options)
      addOverviewRoutes(admin, options)
      addDataRoutes(admin, options)
      addSystemsRoutes(admin, options, tails)
      addMachineRoutes(admin, options)
      addRealtimeAdminRoutes(admin, options)
      addJobRoutes(admin, options)
      // Unknown paths below /admin ask for the token too: what exists is nobody's business without it.
      admin.setNotFoundHandler((request) => {
        throw new TidemarkError('TM_SERVER_NOT_FOUND', { method: request.method, path: request.url.split('?')[0] ?? '' })
      })
    },
    { prefix: '/admin/v1' },
  )
}

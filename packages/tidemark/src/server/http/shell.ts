import type { FastifyInstance } from 'fastify'
import type { Alerts } from '../../alerts/open-alerts.js'
import { apiKeysOf } from '../../auth/keys/keyring.js'
import type { Auth } from '../../auth/open-auth.js'
import { type Callers, isCloud, openCallers } from '../../auth/open-callers.js'
import type { Cache, Definitions } from '../../cache/create-cache.js'
import type { TidemarkConfig } from '../../config/config.js'
import { withDatabase } from '../../config/database-in-url.js'
import { TidemarkError } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import type { Changes } from '../../realtime/realtime.js'
import type { Rest } from '../../rest/rest.js'
import type { State } from '../../state/state.js'
import { addAdminRoutes } from '../admin/admin-routes.js'
import { createAudit } from '../admin/audit.js'
import { createSessions } from '../admin/session.js'
import { addSessionRoutes } from '../admin/session-routes.js'
import { addDashboard, showsDashboard } from '../dashboard/dashboard-routes.js'
import type { ServerFeed } from '../feed/feed.js'
import { createJobs, type Jobs } from '../jobs.js'
import { type ApiMetrics, createApiMetrics } from '../observation/api-metrics.js'
import type { Observation } from '../observation/observation.js'
import { createRoleReads, type RoleReads } from '../operations/role-reads.js'
import type { ProjectStatus } from '../operations/status.js'
import type { SystemReads } from '../operations/systems/systems.js'
import { adminTokensOf, createTokenCheck } from '../project/admin-token.js'
import type { Project } from '../project/project.js'
import { type MountedRealtime, mountRealtime, servesAnyRealtime } from '../realtime/mount-realtime.js'
import type { Resilience } from '../resilience/open-resilience.js'
import { servesRest } from '../rest/rest.js'
import type { Role } from '../roles.js'
import type { Runtime } from '../runtime.js'
import { createSupabaseHealth } from '../supabase-health/supabase-health.js'
import { readVersion } from '../version.js'
import { isWebhookRoute, takesWebhooks } from '../webhooks/serves-webhooks.js'
import type { ServerWebhooks } from '../webhooks/webhooks.js'
import { createHttp } from './http.js'
import { addSystemRoutes, systemPaths } from './system-routes.js'

/** What answers requests. It stands before anything is connected, and says so meanwhile. */
export interface Shell {
  readonly app: FastifyInstance
  readonly jobs: Jobs
  /** Of the requests that it answers. */
  readonly apiMetrics: ApiMetrics
  /** Tells who sends a request. */
  readonly callers: Callers
  /** Undefined where this server has no sockets. */
  readonly realtime: MountedRealtime | undefined
  /** From now on new requests, the system's paths apart, are sent elsewhere. */
  refuseNew(): void
}

export interface ShellOptions {
  readonly observation: Observation
  readonly roles: ReadonlySet<Role>
  readonly config: TidemarkConfig
  readonly state: State
  readonly log: Logger
  readonly startedAtMs: number
  /** Undefined while the server starts. */
  runtime(): Runtime | undefined
  /** Undefined where this process has no part in the feed. */
  feed(): ServerFeed | undefined
  /** Undefined while the server starts, and where it does not answer `/rest/v1`. */
  rest(): Rest | undefined
  /** Undefined while the server starts, and where no changes are told. */
  changes(): Changes | undefined
  /** Undefined while the server starts. */
  resilience(): Resilience | undefined
  /** Undefined where nothing is cached. */
  cache(): Cache<Definitions> | undefined
  /** Undefined while the server starts, and where it has none. */
  alerts(): Alerts | undefined
  /** Undefined while the server starts; `foreign` where the users of its database are another system's. */
  auth(): Auth | 'foreign' | undefined
  /** Undefined while the server starts, and where it takes no webhooks. */
  webhooks(): ServerWebhooks | undefined
  /** Raises TM_SERVER_STARTING meanwhile. */
  project(): Project
  status(): Promise<ProjectStatus>
}

const foreignUsers = 'The schema auth of this database belongs to another system, which answers for its users'

/** `/auth/v1`, where this server has users of its own. */
const mountAuth = async (app: FastifyInstance, options: ShellOptions, callers: Callers): Promise<void> => {
  const { roles, config, log } = options
  if (!roles.has('auth') || !config.auth.enabled || isCloud(config)) return
  const [{ addAuthRoutes }, { AuthError }] = await Promise.all([
    import('../auth/auth-routes.js'),
    import('../../auth/auth-error.js'),
  ])
  await addAuthRoutes(app, {
    callers,
    log: log.child('auth'),
    version: readVersion(),
    ipHeader: config.auth.ipHeader,
    context: () => {
      const auth = options.auth()
      if (auth === undefined) throw new TidemarkError('TM_SERVER_STARTING', {})
      if (auth === 'foreign') throw new AuthError(404, 'not_found', foreignUsers)
      return auth.context
    },
  })
}

/** `/webhooks`, where this server takes any. */
const mountWebhooks = async (app: FastifyInstance, { roles, config, webhooks }: ShellOptions): Promise<void> => {
  if (!roles.has('webhooks') || !takesWebhooks(config)) return
  const [{ addWebhookRoutes }, { webhookProviders }] = await Promise.all([
    import('../webhooks/webhook-routes.js'),
    import('../webhooks/webhook-providers.js'),
  ])
  const { ipHeader } = config.webhooks
  await addWebhookRoutes(app, { providers: webhookProviders(config), ipHeader, intake: () => webhooks()?.intake })
}

/** What operators see as one of the roles of callers, of the project's database or of one beside it. Few look at a time. */
const openReads = (app: FastifyInstance, options: ShellOptions, database?: string): RoleReads => {
  const { config, observation, log } = options
  const reads = createRoleReads(async () => {
    const runtime = options.runtime()
    if (!runtime) throw new TidemarkError('TM_SERVER_STARTING', {})
    const [{ createNamedPool }, { callerPoolOptions }] = await Promise.all([
      import('../../postgres/postgres.js'),
      import('../database/caller-pool.js'),
    ])
    const { pools, url, ...given } = await callerPoolOptions('rest', { config, runtime, observation, log })
    return createNamedPool('rest', {
      ...given,
      url: database === undefined ? url : withDatabase(url, database),
      pools: { rest: { ...pools?.rest, minConnections: 0, maxConnections: 2 } },
    })
  })
  app.addHook('onClose', () => reads.stop())
  return reads
}

interface AdminParts extends Pick<Shell, 'jobs' | 'callers'> {
  /** Mounted later. */
  realtime(): MountedRealtime | undefined
}

/** `/admin/v1`, and the dashboard in front of it. */
const mountAdmin = async (app: FastifyInstance, options: ShellOptions, parts: AdminParts): Promise<void> => {
  const { config, state, log, observation } = options
  const pool = () => options.runtime()?.pools.primary
  const isAuthorized = createTokenCheck(await adminTokensOf(config, state))
  const [sessions, audit] = [await createSessions(config, state), createAudit({ pool, log: log.child('audit') })]
  const gate = { isAuthorized, sessions, audit }
  const reads = openReads(app, options)
  const systems: SystemReads = {
    own: reads,
    others: new Map(config.dashboard.databases.map((name) => [name, openReads(app, options, name)])),
  }
  await addAdminRoutes(app, {
    ...gate,
    jobs: parts.jobs,
    pool,
    project: options.project,
    status: options.status,
    redis: () => options.runtime()?.redis,
    feed: options.feed,
    cache: options.cache,
    resilience: options.resilience,
    alerts: options.alerts,
    reads: () => reads,
    systems: () => systems,
    inspectable: () => parts.realtime()?.inspectable,
    connections: () => parts.realtime()?.connections,
    pools: () => options.runtime()?.pools,
    samples: () => {
      observation.refreshGauges()
      return observation.metrics.read()
    },
    overview: async () => {
      const runtime = options.runtime()
      if (!runtime) return undefined
      const { body: health } = await observation.health.report()
      const [feed, cache, alerts, resilience] = [options.feed(), options.cache(), options.alerts(), options.resilience()]
      return { runtime, health, feed, cache, alerts, resilience, uptimeSeconds: uptimeSecondsOf(options) }
    },
    doctor: async () => {
      const { examine } = await import('../operations/doctor/doctor.js')
      return examine(options.project(), { serving: true })
    },
  })
  if (!showsDashboard(config)) return
  await addSessionRoutes(app, { ...gate, config, callers: parts.callers, auth: options.auth })
  await addDashboard(app, config)
}

const uptimeSecondsOf = ({ startedAtMs }: ShellOptions): number => Math.round((Date.now() - startedAtMs) / 1000)

/** Builds the HTTP server and its routes; it does not listen yet. */
export const createShell = async (options: ShellOptions): Promise<Shell> => {
  const { observation, log, config, state } = options
  const { health, metrics, refreshGauges } = observation
  const app = await createHttp({ log: log.child('http'), metrics })
  const apiMetrics = createApiMetrics({ metrics, log: log.child('metrics'), isLeftOut: (route) => systemPaths.has(route) })
  if (config.metrics.requests || config.metrics.live) apiMetrics.watch(app)
  const jobs = createJobs()
  let draining = false
  const isRefused = (route: string): boolean => !systemPaths.has(route) && !isWebhookRoute(route)
  app.addHook('onRequest', (request, _reply, done) => {
    if (draining && isRefused(request.routeOptions.url ?? '')) done(new TidemarkError('TM_SERVER_STOPPING', {}))
    else done()
  })
  // A connection that stays open for a next request would hold the end up.
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (draining) reply.header('connection', 'close')
    done()
  })
  addSystemRoutes(app, {
    health,
    metrics,
    refreshGauges,
    version: readVersion(),
    runtime: options.runtime,
    supabaseHealth: createSupabaseHealth({ config, runtime: options.runtime }),
    uptimeSeconds: () => uptimeSecondsOf(options),
  })
  const callers = openCallers(config, state)
  await mountAuth(app, options, callers)
  let realtime: MountedRealtime | undefined
  if (options.roles.has('admin')) await mountAdmin(app, options, { jobs, callers, realtime: () => realtime })
  if (options.roles.has('rest') && servesRest(config)) {
    const [{ addRestRoutes }, { createRestPositions }] = await Promise.all([
      import('../rest/rest-routes.js'),
      import('../rest/rest-positions.js'),
    ])
    const { maxBodyBytes, sendTimeoutMs } = config.rest
    await addRestRoutes(app, {
      findCaller: callers.findCaller,
      maxBodyBytes,
      sendTimeoutMs,
      rest: options.rest,
      positions: createRestPositions(options),
      log: log.child('rest'),
    })
  }
  await mountWebhooks(app, options)
  realtime =
    options.roles.has('realtime') && servesAnyRealtime(config)
      ? await mountRealtime({ ...options, app, findCaller: callers.findCaller, log: log.child('realtime') })
      : undefined
  if (realtime) {
    const { addLivePage } = await import('../realtime/live-page.js')
    const anonKey = async () => (await apiKeysOf(config, state)).anon
    await addLivePage(app, { config, runtime: options.runtime, anonKey })
  }
  return {
    app,
    jobs,
    apiMetrics,
    callers,
    realtime,
    refuseNew: () => {
      draining = true
    },
  }
}

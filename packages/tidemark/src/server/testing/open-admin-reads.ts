import type { FastifyInstance } from 'fastify'
import { resolveConfig } from '../../config/config.js'
import { TidemarkError } from '../../errors.js'
import { createMetrics } from '../../observability/metrics.js'
import { type Logger, silentLogger } from '../../observability/observability.js'
import { createNamedPool, createPools } from '../../postgres/postgres.js'
import { testUrl } from '../../schema/testing/bootstrapped-template.js'
import { createAudit } from '../admin/audit.js'
import { addDataRoutes } from '../admin/data-routes.js'
import { type Audit, addGate } from '../admin/gate.js'
import { addMachineRoutes } from '../admin/machine-routes.js'
import type { OperatorRole } from '../admin/operator.js'
import { addOverviewRoutes } from '../admin/overview-routes.js'
import type { Session } from '../admin/session.js'
import { addSystemsRoutes } from '../admin/systems-routes.js'
import { createHttp } from '../http/http.js'
import { createJobs } from '../jobs.js'
import { createRoleReads, type RoleReads } from '../operations/role-reads.js'
import type { Resilience } from '../resilience/open-resilience.js'

export interface Asked {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: never
}

/** The paths of the dashboard that read, over a bootstrapped database, behind the gate. The cookie is the name of a role. */
export interface AdminReads {
  get(path: string, as?: OperatorRole): Promise<Asked>
  post(path: string, body: unknown, as?: OperatorRole): Promise<Asked>
  readonly audited: readonly string[]
  stop(): Promise<void>
}

const csrf = 'proof'

const sessionOf = (role: OperatorRole): Session => ({
  name: role,
  role,
  began: 'token',
  csrf,
  beganAtMs: 0,
  endsAtMs: Number.MAX_SAFE_INTEGER,
})

export interface AdminReadsOptions {
  readonly resilience?: Resilience
  /** Databases beside it, by name. */
  readonly others?: Readonly<Record<string, string>>
  /** Of requests, and of what operators do. */
  readonly log?: Logger
}

const readsOf = (databaseUrl: string): RoleReads =>
  createRoleReads(async () =>
    createNamedPool('rest', {
      url: testUrl(databaseUrl, 'authenticator'),
      pools: { rest: { minConnections: 0, maxConnections: 2 } },
    }),
  )

export const openAdminReads = async (
  databaseUrl: string,
  { resilience, others = {}, log = silentLogger }: AdminReadsOptions = {},
): Promise<AdminReads> => {
  const pools = createPools({
    url: testUrl(databaseUrl, 'app'),
    migrationUrl: testUrl(databaseUrl, 'migrator'),
    pools: { primary: { minConnections: 0 }, analytics: { minConnections: 0 }, migration: { minConnections: 0 } },
  })
  const reads = readsOf(databaseUrl)
  const systems = { own: reads, others: new Map(Object.entries(others).map(([name, url]) => [name, readsOf(url)])) }
  const metrics = createMetrics()
  metrics.gauge('tidemark_realtime_connections', 'Clients.', ['protocol']).set(7, { protocol: 'supabase' })
  const config = resolveConfig({ env: { PORT: '9999', TIDEMARK_ADMIN_TOKEN: 'a-token-that-nobody-may-see' } })
  const audited: string[] = []
  const app = await createHttp({ log, metrics })
  await app.register(
    async (admin: FastifyInstance) => {
      const sessions = {
        cookieName: 'c',
        begin: () => sessionOf('viewer'),
        renewed: () => undefined,
        cookie: async () => '',
        read: async (cookie: string | undefined) => (cookie === undefined ? undefined : sessionOf(cookie as OperatorRole)),
      }
      const audit = createAudit({ pool: () => pools.primary, log })
      const noting: Audit = {
        begun: (request, operator) => {
          audited.push(request.url)
          return audit.begun(request, operator)
        },
        failed: (request, operator, status) => {
          audited.push(request.url)
          return audit.failed(request, operator, status)
        },
      }
      addGate(admin, { isAuthorized: () => false, sessions }, noting)
      const given = { reads: () => reads }
      addDataRoutes(admin, given)
      addOverviewRoutes(admin, {
        jobs: createJobs(),
        pool: () => pools.primary,
        project: () => {
          throw new TidemarkError('TM_SERVER_STARTING', {})
        },
        overview: async () => undefined,
      })
      addSystemsRoutes(admin, { systems: () => systems }, { listen: () => () => undefined, stop: async () => undefined })
      addMachineRoutes(admin, {
        ...given,
        project: () => ({ config }),
        pools: () => pools,
        resilience: () => resilience,
        samples: () => metrics.read(),
      })
    },
    { prefix: '/admin/v1' },
  )
  const send = async (method: 'GET' | 'POST', path: string, as: OperatorRole, payload?: unknown): Promise<Asked> => {
    const answer = await app.inject({
      method,
      url: `/admin/v1${path}`,
      headers: { cookie: as, 'x-tidemark-csrf': csrf },
      ...(payload !== undefined && { payload: payload as object }),
    })
    return { status: answer.statusCode, headers: answer.headers, body: answer.json() as never }
  }
  return {
    get: (path, as = 'admin') => send('GET', path, as),
    post: (path, body, as = 'admin') => send('POST', path, as, body),
    audited,
    stop: async () => {
      await app.close()
      for (const each of [reads, ...systems.others.values()]) await each.stop()
      await pools.stop()
    },
  }
}

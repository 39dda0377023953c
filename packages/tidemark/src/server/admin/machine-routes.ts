import type { FastifyInstance } from 'fastify'
import { TidemarkError } from '../../errors.js'
import type { Sample } from '../../observability/observability.js'
import { validate } from '../http/validate.js'
import type { Project } from '../project/project.js'
import type { Resilience } from '../resilience/open-resilience.js'
import type { Runtime } from '../runtime.js'
import { checkViewpoint, type DataRoutesOptions } from './data-routes.js'

export interface MachineRoutesOptions extends DataRoutesOptions {
  /** Raises TM_SERVER_STARTING until Postgres is there. */
  project(): Pick<Project, 'config'>
  /** Undefined while the server starts. */
  pools(): Runtime['pools'] | undefined
  /** Undefined while the server starts. */
  resilience(): Resilience | undefined
  /** The metrics of this process, as they are now. */
  samples(): Promise<readonly Sample[]>
}

const loadQueries = () => import('../operations/queries.js')

/** What the machine does beneath: /resilience, /queries, /settings and /realtime. */
export const addMachineRoutes = (app: FastifyInstance, options: MachineRoutesOptions): void => {
  const pools = (): Runtime['pools'] => {
    const opened = options.pools()
    if (!opened) throw new TidemarkError('TM_SERVER_STARTING', {})
    return opened
  }
  app.get('/resilience', async (request) => {
    const { resilienceReport, resilienceRequest } = await import('../operations/resilience.js')
    return resilienceReport(pools().primary, validate(resilienceRequest, request.query), options.resilience())
  })
  app.get('/queries', async () => {
    const { primary, analytics, migration, auth } = pools()
    const { queriesReport } = await loadQueries()
    const own = await options.reads().pool()
    const all = [primary, analytics, migration, ...(auth ? [auth] : [])]
    return queriesReport({ pools: all, logins: [primary, migration, own] })
  })
  app.post('/queries/explain', async (request) => {
    const { explainRequest, queriesExplain } = await loadQueries()
    const wanted = validate(explainRequest, request.body)
    checkViewpoint(request, wanted)
    return queriesExplain(options.reads(), wanted)
  })
  app.get('/settings', async () => {
    const { settingsList } = await import('../operations/settings.js')
    return settingsList(options.project().config)
  })
  app.get('/realtime', async () => {
    const { realtimeReport } = await import('../operations/realtime-figures.js')
    return realtimeReport(pools().primary, await options.samples())
  })
}

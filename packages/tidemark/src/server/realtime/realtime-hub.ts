import type { FastifyInstance } from 'fastify'
import type { TidemarkConfig } from '../../config/config.js'
import type { Logger } from '../../observability/observability.js'
import type { Hub } from '../../realtime/hub/hub.js'
import { openHub } from '../../realtime/hub/open-hub.js'
import type { Observation } from '../observation/observation.js'

export interface ServerHubOptions {
  readonly app: FastifyInstance
  readonly config: TidemarkConfig
  readonly observation: Observation
  readonly log: Logger
}

/** The sockets of a server: they come by its port, and are ended before it stops listening. */
export const openServerHub = ({ app, config, observation, log }: ServerHubOptions): Hub => {
  const { metrics } = observation
  const hub = openHub({ log, metrics, maxConnections: config.realtime.maxConnections })
  observation.onRefresh(() => hub.refreshMetrics())
  hub.attach(app.server)
  app.addHook('preClose', () => hub.stop())
  return hub
}

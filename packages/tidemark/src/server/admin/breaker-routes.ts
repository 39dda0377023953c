import type { FastifyInstance } from 'fastify'
import { validate } from '../http/validate.js'
import { breakersList, breakersOperate, breakersRequest } from '../operations/breakers.js'
import type { Project } from '../project/project.js'
import type { Resilience } from '../resilience/open-resilience.js'

export interface BreakerRoutesOptions {
  /** Raises TM_SERVER_STARTING until Postgres is there. */
  project(): Project
  /** Undefined while the server starts. */
  resilience(): Resilience | undefined
}

/** /breakers */
export const addBreakerRoutes = (app: FastifyInstance, options: BreakerRoutesOptions): void => {
  const input = () => ({ resilience: options.resilience(), circuits: options.resilience()?.circuits })
  app.get('/breakers', async () => breakersList(input()))
  app.post('/breakers', async (request) => breakersOperate(options.project(), validate(breakersRequest, request.body), input()))
}

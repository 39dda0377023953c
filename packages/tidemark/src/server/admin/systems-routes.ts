import type { FastifyInstance } from 'fastify'
import { validate } from '../http/validate.js'
import type { SystemReads } from '../operations/systems.js'

export interface SystemsRoutesOptions {
  systems(): SystemReads
}

const load = () => import('../operations/systems.js')

/** /systems, and a path below for each of the five. */
export const addSystemsRoutes = (app: FastifyInstance, { systems: reads }: SystemsRoutesOptions): void => {
  app.get('/systems', async () => (await load()).systemsList(reads()))
  app.get('/systems/tours', async (request) => {
    const { dayRequest, systemTours } = await load()
    return systemTours(reads(), validate(dayRequest, request.query))
  })
  app.get('/systems/leads', async () => (await load()).systemLeads(reads()))
  app.get('/systems/yarn', async () => (await load()).systemYarn(reads()))
  app.get('/systems/chat', async () => (await load()).systemChat(reads()))
  app.get('/systems/agents', async () => (await load()).systemAgents(reads()))
}

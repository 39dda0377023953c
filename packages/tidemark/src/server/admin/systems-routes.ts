import type { FastifyInstance } from 'fastify'
import * as systems from '../operations/systems.js'
import { validate } from '../validate.js'
import type { DataRoutesOptions } from './data-routes.js'

/** /systems, and a path below for each of the five. */
export const addSystemsRoutes = (app: FastifyInstance, { reads }: DataRoutesOptions): void => {
  app.get('/systems', async () => systems.systemsList(reads()))
  app.get('/systems/tours', async (request) => systems.systemTours(reads(), validate(systems.dayRequest, request.query)))
  app.get('/systems/leads', async () => systems.systemLeads(reads()))
  app.get('/systems/yarn', async () => systems.systemYarn(reads()))
  app.get('/systems/chat', async () => systems.systemChat(reads()))
  app.get('/systems/agents', async () => systems.systemAgents(reads()))
}

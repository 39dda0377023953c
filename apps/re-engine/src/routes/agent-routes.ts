import type { FastifyInstance } from 'fastify'
import { answering, contextOf, fromRead, fromWrite } from 'tidemark/app'
import { requireAdmin } from '../access.js'
import { agentPage, board } from '../answers.js'
import { agentChange, agentsQuery, newAgent, parse } from '../input.js'
import { changeAgent, createAgent, listAgents } from '../repository/agents.js'
import { agentRow } from '../rows.js'
import { idIn, type RouteContext } from './route-context.js'

export const addAgentRoutes = (app: FastifyInstance, { database, reads }: RouteContext): void => {
  app.post(
    '/agents',
    answering(agentRow, { summary: 'A new agent.', body: newAgent }, async (request, reply) => {
      requireAdmin(request.caller)
      const agent = parse(newAgent, request.body)
      const made = fromWrite(reply, await database.write(request.caller, (db) => createAgent(db, agent)))
      reply.status(201).header('location', `/agents/${made.id}`)
      return made
    }),
  )

  app.get(
    '/agents',
    answering(agentPage, { summary: 'Agents, the newest first.', query: agentsQuery }, async (request) => {
      const query = parse(agentsQuery, request.query)
      const { rows: agents, next } = await database.read(request.caller, (db) => listAgents(db, query))
      return { agents, next }
    }),
  )

  app.get(
    '/agents/:id',
    answering(agentRow, { summary: 'An agent.' }, async (request, reply) =>
      fromRead(reply, await reads.agent(request.caller, idIn(request), contextOf(request))),
    ),
  )

  app.patch(
    '/agents/:id',
    answering(agentRow, { summary: 'Changes an agent.', body: agentChange }, async (request, reply) => {
      requireAdmin(request.caller)
      const change = parse(agentChange, request.body)
      const id = idIn(request)
      return fromWrite(reply, await database.write(request.caller, (db) => changeAgent(db, id, change)))
    }),
  )

  // What is at hand, and how much room is left.
  app.get(
    '/agents/:id/board',
    answering(board, { summary: 'What is at hand, and the room that is left.' }, async (request, reply) =>
      fromRead(reply, await reads.board(request.caller, idIn(request), contextOf(request))),
    ),
  )
}

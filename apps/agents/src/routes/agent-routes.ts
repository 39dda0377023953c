/** Agents over HTTP: registered and changed by the service, seen by whoever has signed in. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { answering, fromRead } from 'tidemark/app'
import { requireService } from '../access.js'
import { AgentsError } from '../agents-error.js'
import type { RouteContext } from '../app.js'
import { eventsOf } from '../repository/events.js'
import { agentById, heartbeat, listAgents, requireAgent } from '../repository/instances.js'
import { cancellationsOf, claimTask } from '../repository/queue.js'
import { agentRow } from '../repository/rows.js'
import { endSilence } from '../repository/silence.js'
import * as answers from './answers.js'
import { agentChange, agentsQuery, beat, newAgent, parse } from './input.js'

/** The agent that the address names. */
export const agentIdOf = ({ params }: FastifyRequest): string => (params as { readonly agentId: string }).agentId

export const addAgentRoutes = (app: FastifyInstance, { db, reads, writes, service, clock }: RouteContext): void => {
  app.get(
    '/agent-instances',
    answering(answers.agentPage, { summary: 'Agents, the newest first.', query: agentsQuery }, async (request) => {
      const query = parse(agentsQuery, request.query)
      return request.caller.role === 'anon' ? { agents: [], next: null } : listAgents(db, query)
    }),
  )

  app.get(
    '/agent-instances/:agentId',
    answering(agentRow, { summary: 'An agent.' }, async (request, reply) => {
      if (request.caller.role === 'anon') throw new AgentsError('AGENTS_NOT_FOUND')
      const agent = fromRead(reply, await reads.agent(agentIdOf(request)))
      if (agent === null) throw new AgentsError('AGENTS_NOT_FOUND')
      return agent
    }),
  )

  app.post(
    '/agent-instances',
    answering(answers.storedAgent, { summary: 'Registers an agent.', body: newAgent }, async (request, reply) => {
      requireService(request.caller)
      reply.status(201)
      return service.createAgentInstance(parse(newAgent, request.body), request)
    }),
  )

  app.patch(
    '/agent-instances/:agentId',
    answering(answers.storedAgent, { summary: 'Changes an agent, or moves it on.', body: agentChange }, async (request) => {
      requireService(request.caller)
      return service.updateAgentInstance(agentIdOf(request), parse(agentChange, request.body), request)
    }),
  )

  app.post(
    '/agent-instances/:agentId/heartbeat',
    answering(answers.beaten, { summary: 'It is alive; tells which tasks it is to leave off.', body: beat }, async (request) => {
      requireService(request.caller)
      parse(beat, request.body ?? {})
      const { result, degraded } = await writes.write(async (tx, announce) => {
        const before = await requireAgent(tx, agentIdOf(request))
        const agent = await heartbeat(tx, before.agent_id, new Date(clock.now()))
        if (agent.version !== before.version) {
          await endSilence(tx, agent)
          await announce(eventsOf.agent(agent))
        }
        return { ...agent, cancel: await cancellationsOf(tx, agent.id) }
      })
      return { ...result, degraded }
    }),
  )

  /** The next task of the queue; 204 where there is none. */
  app.post(
    '/agent-instances/:agentId/claim',
    answering(answers.claimed, { summary: 'Its next task, where there is one.' }, async (request, reply) => {
      requireService(request.caller)
      const { result, degraded } = await writes.write(async (tx, announce) => {
        const task = await claimTask(tx, agentIdOf(request), new Date(clock.now()))
        if (task === null) return null
        await announce(eventsOf.task(task))
        const agent = await agentById(tx, task.agent_instance_id!)
        if (agent) await announce(eventsOf.agent(agent))
        return task
      }, request)
      if (result !== null) return { ...result, degraded }
      reply.status(204)
      return undefined
    }),
  )
}

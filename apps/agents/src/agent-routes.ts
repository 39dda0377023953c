/** Agents over HTTP: registered and changed by the service, seen by whoever has signed in. */
import type { FastifyInstance } from 'fastify'
import { fromRead } from 'tidemark/app'
import { requireService } from './access.js'
import { AgentsError } from './agents-error.js'
import type { RouteContext } from './app.js'
import { eventsOf } from './events.js'
import { agentChange, agentsQuery, beat, newAgent, parse } from './input.js'
import { agentById, heartbeat, listAgents, requireAgent } from './instances.js'
import { cancellationsOf, claimTask } from './queue.js'
import type { AgentInstance } from './rows.js'
import { endSilence } from './silence.js'

type OfAgent = { Params: { agentId: string } }

export const addAgentRoutes = (app: FastifyInstance, { db, reads, writes, service, clock }: RouteContext): void => {
  app.get('/agent-instances', { config: { summary: 'Agents, the newest first.', query: agentsQuery } }, async (request) => {
    const query = parse(agentsQuery, request.query)
    return request.caller.role === 'anon' ? { agents: [], next: null } : listAgents(db, query)
  })

  app.get<OfAgent>('/agent-instances/:agentId', { config: { summary: 'An agent.' } }, async (request, reply) => {
    if (request.caller.role === 'anon') throw new AgentsError('AGENTS_NOT_FOUND')
    const agent = fromRead(reply, await reads.agent(request.params.agentId))
    if (agent === null) throw new AgentsError('AGENTS_NOT_FOUND')
    return agent
  })

  app.post('/agent-instances', { config: { summary: 'Registers an agent.', body: newAgent } }, async (request, reply) => {
    requireService(request.caller)
    return reply.status(201).send(await service.createAgentInstance(parse(newAgent, request.body), request))
  })

  app.patch<OfAgent>(
    '/agent-instances/:agentId',
    { config: { summary: 'Changes an agent, or moves it on.', body: agentChange } },
    async (request) => {
      requireService(request.caller)
      return service.updateAgentInstance(request.params.agentId, parse(agentChange, request.body), request)
    },
  )

  app.post<OfAgent>(
    '/agent-instances/:agentId/heartbeat',
    { config: { summary: 'It is alive; tells which tasks it is to leave off.', body: beat } },
    async (request) => {
      requireService(request.caller)
      parse(beat, request.body ?? {})
      const { result, degraded } = await writes.write(async (tx, announce) => {
        const before = await requireAgent(tx, request.params.agentId)
        const agent = await heartbeat(tx, request.params.agentId, new Date(clock.now()))
        if (agent.version !== before.version) {
          await endSilence(tx, agent)
          await announce(eventsOf.agent(agent))
        }
        return { ...agent, cancel: await cancellationsOf(tx, agent.id) } satisfies AgentInstance & { cancel: unknown }
      })
      return { ...result, degraded }
    },
  )

  /** The next task of the queue; 204 where there is none. */
  app.post<OfAgent>(
    '/agent-instances/:agentId/claim',
    { config: { summary: 'Its next task, where there is one.' } },
    async (request, reply) => {
      requireService(request.caller)
      const { result, degraded } = await writes.write(async (tx, announce) => {
        const task = await claimTask(tx, request.params.agentId, new Date(clock.now()))
        if (task === null) return null
        await announce(eventsOf.task(task))
        const agent = await agentById(tx, task.agent_instance_id!)
        if (agent) await announce(eventsOf.agent(agent))
        return task
      }, request)
      return result === null ? reply.status(204).send() : { ...result, degraded }
    },
  )
}

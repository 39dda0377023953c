/** Tasks over HTTP: asked for by whoever has signed in, run by the service. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Caller, requireService, requireUser } from './access.js'
import { AgentsError } from './agents-error.js'
import type { RouteContext } from './app.js'
import { eventsOf } from './events.js'
import { createTask, findTask, listTasks, type NewTask } from './executions.js'
import { executionsQuery, newTask, newTaskOfAgent, parse, taskChange } from './input.js'
import { agentById, requireAgent } from './instances.js'
import { cancelTask, changeTask, queueState } from './queue.js'
import type { Db, Execution } from './rows.js'
import type { Announce } from './writes.js'

type OfTask = { Params: { taskId: string } }
type OfAgent = { Params: { agentId: string } }

type Asked = Omit<NewTask, 'agent_type' | 'user_id' | 'input_data'> & {
  readonly input?: unknown
  readonly input_data?: unknown
  readonly user_id?: string | undefined
}

/** A task is the caller's own; the service may name whose it is. */
const taskOf = (asked: Asked, caller: Caller): Omit<NewTask, 'agent_type'> => {
  const { input, input_data, user_id, ...task } = asked
  if (user_id !== undefined && caller.role !== 'service_role') throw new AgentsError('AGENTS_FORBIDDEN', 'A task is your own.')
  return { ...task, input_data: input_data ?? input ?? {}, user_id: user_id ?? caller.userId }
}

/** The task, and the agent whose state went with it. */
const announceTask = async (tx: Db, announce: Announce, task: Execution, agentId: string | null): Promise<void> => {
  await announce(eventsOf.task(task))
  const agent = agentId === null ? null : await agentById(tx, agentId)
  if (agent) await announce(eventsOf.agent(agent))
}

export const addTaskRoutes = (app: FastifyInstance, { db, writes, clock, backoff }: RouteContext): void => {
  const create = (request: FastifyRequest, make: (tx: Db) => Promise<NewTask>) =>
    writes.write(async (tx, announce) => {
      const task = await createTask(tx, await make(tx))
      await announce(eventsOf.task(task))
      return task
    }, request)

  app.post('/tasks', async (request, reply) => {
    requireUser(request.caller)
    const { agent_type, ...asked } = parse(newTask, request.body)
    const { result, degraded } = await create(request, async () => ({ ...taskOf(asked, request.caller), agent_type }))
    return reply.status(202).send({ ...result, degraded })
  })

  app.post<OfAgent>('/agent-instances/:agentId/tasks', async (request, reply) => {
    requireUser(request.caller)
    const asked = parse(newTaskOfAgent, request.body)
    const { result, degraded } = await create(request, async (tx) => {
      const { id, agent_type } = await requireAgent(tx, request.params.agentId)
      return { ...taskOf(asked, request.caller), agent_type, agent_instance_id: id }
    })
    return reply.status(202).send({ ...result, degraded })
  })

  app.get('/executions', async (request) => listTasks(db, parse(executionsQuery, request.query), request.caller))

  app.get<OfTask>('/executions/:taskId', async (request) => findTask(db, request.params.taskId, request.caller))

  app.patch<OfTask>('/executions/:taskId', async (request) => {
    requireService(request.caller)
    const change = parse(taskChange, request.body)
    const { result, degraded } = await writes.write(async (tx, announce) => {
      const before = await findTask(tx, request.params.taskId, request.caller)
      const task = await changeTask(tx, request.params.taskId, change, { now: new Date(clock.now()), backoff })
      await announceTask(tx, announce, task, before.status === 'running' ? before.agent_instance_id : null)
      return task
    }, request)
    return { ...result, degraded }
  })

  app.post<OfTask>('/executions/:taskId/cancel', async (request, reply) => {
    requireUser(request.caller)
    const { result, degraded } = await writes.write(async (tx, announce) => {
      await findTask(tx, request.params.taskId, request.caller)
      const task = await cancelTask(tx, request.params.taskId)
      await announce(eventsOf.task(task))
      return task
    }, request)
    return reply.status(result.status === 'cancelled' ? 200 : 202).send({ ...result, degraded })
  })

  app.get('/queue', async (request) => {
    requireUser(request.caller)
    return queueState(db, new Date(clock.now()))
  })
}

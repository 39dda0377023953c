/** Tasks over HTTP: asked for by whoever has signed in, run by the service. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { answering } from 'tidemark/app'
import { type Caller, requireService, requireUser } from '../access.js'
import { AgentsError } from '../agents-error.js'
import type { RouteContext } from '../app.js'
import { eventsOf } from '../repository/events.js'
import { findTask, listTasks, type NewTask } from '../repository/executions.js'
import { requireAgent } from '../repository/instances.js'
import { cancelTask, queueState } from '../repository/queue.js'
import { type Db, executionRow } from '../repository/rows.js'
import { agentIdOf } from './agent-routes.js'
import * as answers from './answers.js'
import { executionsQuery, newTask, newTaskOfAgent, parse, taskChange } from './input.js'

const taskIdOf = ({ params }: FastifyRequest): string => (params as { readonly taskId: string }).taskId

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

export const addTaskRoutes = (app: FastifyInstance, { db, writes, service, clock }: RouteContext): void => {
  app.post(
    '/tasks',
    answering(
      answers.storedExecution,
      { summary: 'A task for whichever agent of the type is free.', body: newTask },
      async (request, reply) => {
        requireUser(request.caller)
        const { agent_type, ...asked } = parse(newTask, request.body)
        const task = { ...taskOf(asked, request.caller), agent_type }
        reply.status(202)
        return service.queueTask(async () => task, request)
      },
    ),
  )

  app.post(
    '/agent-instances/:agentId/tasks',
    answering(
      answers.storedExecution,
      { summary: 'A task for this agent alone.', body: newTaskOfAgent },
      async (request, reply) => {
        requireUser(request.caller)
        const asked = parse(newTaskOfAgent, request.body)
        const task = taskOf(asked, request.caller)
        const make = async (tx: Db) => {
          const { id, agent_type } = await requireAgent(tx, agentIdOf(request))
          return { ...task, agent_type, agent_instance_id: id }
        }
        reply.status(202)
        return service.queueTask(make, request)
      },
    ),
  )

  app.get(
    '/executions',
    answering(
      answers.executionPage,
      { summary: 'Tasks and what came of them, the newest first.', query: executionsQuery },
      async (request) => listTasks(db, parse(executionsQuery, request.query), request.caller),
    ),
  )

  app.get(
    '/executions/:taskId',
    answering(executionRow, { summary: 'A task and what came of it.' }, async (request) =>
      findTask(db, taskIdOf(request), request.caller),
    ),
  )

  app.patch(
    '/executions/:taskId',
    answering(answers.storedExecution, { summary: 'What came of a task.', body: taskChange }, async (request) => {
      requireService(request.caller)
      return service.updateTaskExecution(taskIdOf(request), parse(taskChange, request.body), request)
    }),
  )

  app.post(
    '/executions/:taskId/cancel',
    answering(
      answers.storedExecution,
      { summary: 'Cancels a task, or asks whoever runs it to leave off.' },
      async (request, reply) => {
        requireUser(request.caller)
        const { result, degraded } = await writes.write(async (tx, announce) => {
          await findTask(tx, taskIdOf(request), request.caller)
          const task = await cancelTask(tx, taskIdOf(request))
          await announce(eventsOf.task(task))
          return task
        }, request)
        reply.status(result.status === 'cancelled' ? 200 : 202)
        return { ...result, degraded }
      },
    ),
  )

  app.get(
    '/queue',
    answering(answers.queue, { summary: 'How much waits, of which type and priority, and for how long.' }, async (request) => {
      requireUser(request.caller)
      return queueState(db, new Date(clock.now()))
    }),
  )
}

import type { FastifyInstance } from 'fastify'
import { fromWrite } from 'tidemark/app'
import { parse, taskStatus, tasksQuery } from '../input.js'
import { changeTaskStatus, listTasks } from '../repository/tasks.js'
import { idIn, type RouteContext } from './route-context.js'

export const addTaskRoutes = (app: FastifyInstance, { database }: RouteContext): void => {
  app.get('/tasks', { config: { summary: 'Tasks, the earliest first.', query: tasksQuery } }, async (request) => {
    const { visit_id: visitId, task_type: taskType, pending, limit } = parse(tasksQuery, request.query)
    const isPending = pending === undefined ? undefined : pending === 'true'
    return { tasks: await database.read(request.caller, (db) => listTasks(db, { visitId, taskType, isPending, limit })) }
  })

  app.put('/tasks/:id/status', { config: { summary: 'Moves a task on.', body: taskStatus } }, async (request, reply) => {
    const { status } = parse(taskStatus, request.body)
    const id = idIn(request)
    return fromWrite(reply, await database.write(request.caller, (db) => changeTaskStatus(db, id, status)))
  })
}

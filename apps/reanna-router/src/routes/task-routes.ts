import type { FastifyInstance } from 'fastify'
import { answering, fromWrite } from 'tidemark/app'
import { taskPage } from '../answers.js'
import { parse, parsePlace, taskStatus, tasksQuery } from '../input.js'
import { changeTaskStatus, listTasks } from '../repository/tasks.js'
import { taskRow } from '../rows.js'
import { idIn, type RouteContext } from './route-context.js'

export const addTaskRoutes = (app: FastifyInstance, { database }: RouteContext): void => {
  app.get(
    '/tasks',
    answering(taskPage, { summary: 'Tasks, the earliest first.', query: tasksQuery }, async (request) => {
      const { visit_id: visitId, task_type: taskType, pending, limit, cursor } = parse(tasksQuery, request.query)
      const after = parsePlace(cursor)
      const isPending = pending === undefined ? undefined : pending === 'true'
      return database.read(request.caller, (db) => listTasks(db, { visitId, taskType, isPending, limit, after }))
    }),
  )

  app.put(
    '/tasks/:id/status',
    answering(taskRow, { summary: 'Moves a task on.', body: taskStatus }, async (request, reply) => {
      const { status } = parse(taskStatus, request.body)
      const id = idIn(request)
      return fromWrite(reply, await database.write(request.caller, (db) => changeTaskStatus(db, id, status)))
    }),
  )
}

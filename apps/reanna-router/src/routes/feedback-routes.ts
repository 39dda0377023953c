import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { fromWrite } from 'tidemark/app'
import { feedbackQuery, parse, parsePlace, processing, smsFeedback, voiceFeedback } from '../input.js'
import {
  addFeedback,
  listUnsent,
  type NewFeedback,
  processFeedback,
  requestNotification,
  requestUnsent,
  requireFeedback,
} from '../repository/feedback.js'
import { idIn, type RouteContext } from './route-context.js'

/** Of one request; whoever has more asks again. */
const mostUnsent = 100

export const addFeedbackRoutes = (app: FastifyInstance, { database, calls }: RouteContext): void => {
  const receive = async (request: FastifyRequest, reply: FastifyReply, given: NewFeedback): Promise<FastifyReply> => {
    const written = await database.write(request.caller, (db) => addFeedback(db, given), { requestId: request.id })
    return reply.status(201).send(fromWrite(reply, written))
  }

  app.post('/feedback/sms', { config: { summary: 'What came as an SMS.', body: smsFeedback } }, async (request, reply) => {
    const { message: text, task_id: taskId, visit_id: visitId } = parse(smsFeedback, request.body)
    return receive(request, reply, { source: 'sms', text, taskId, visitId })
  })

  app.post('/feedback/voice', { config: { summary: 'What was spoken.', body: voiceFeedback } }, async (request, reply) => {
    const { transcript: text, task_id: taskId, visit_id: visitId } = parse(voiceFeedback, request.body)
    return receive(request, reply, { source: 'voice', text, taskId, visitId })
  })

  app.get(
    '/feedback',
    { config: { summary: 'Feedback that is processed and of which nobody was told.', query: feedbackQuery } },
    async (request) => {
      const { limit, cursor } = parse(feedbackQuery, request.query)
      const after = parsePlace(cursor)
      return database.read(request.caller, (db) => listUnsent(db, { limit, after }))
    },
  )

  app.get('/feedback/:id', { config: { summary: 'Feedback.' } }, async (request) => {
    const id = idIn(request)
    return database.read(request.caller, (db) => requireFeedback(db, id))
  })

  app.put(
    '/feedback/:id/process',
    { config: { summary: 'The words that the listing agent gets.', body: processing } },
    async (request, reply) => {
      const { processed_feedback: words } = parse(processing, request.body ?? undefined)
      const id = idIn(request)
      const feedback = fromWrite(
        reply,
        await database.write(request.caller, (db) => processFeedback(db, id, words), { requestId: request.id }),
      )
      // The listing agent is told behind the answer.
      void calls.make('feedback.notify', id).catch(() => undefined)
      return feedback
    },
  )

  // 200 once the listing agent has been told, 202 while that is tried.
  app.put('/feedback/:id/notify', { config: { summary: 'Has the listing agent be told.' } }, async (request, reply) => {
    const id = idIn(request)
    await database.write(request.caller, (db) => requestNotification(db, id), { requestId: request.id })
    await calls.make('feedback.notify', id)
    const feedback = await database.read(request.caller, (db) => requireFeedback(db, id))
    return reply.status(feedback.sent_to_agent ? 200 : 202).send(feedback)
  })

  app.post(
    '/feedback/process-unsent',
    { config: { summary: 'Has all listing agents be told who were not.' } },
    async (request, reply) => {
      const ids = fromWrite(
        reply,
        await database.write(request.caller, (db) => requestUnsent(db, mostUnsent), { requestId: request.id }),
      )
      void calls.drain().catch(() => undefined)
      return reply.status(202).send({ requested: ids.length, feedback: ids })
    },
  )
}

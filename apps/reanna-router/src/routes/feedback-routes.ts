import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { answering, fromWrite } from 'tidemark/app'
import { feedbackPage, requested } from '../answers.js'
import { feedbackQuery, parse, parsePlace, processing, smsFeedback, voiceFeedback } from '../input.js'
import {
  addFeedback,
  listFeedback,
  type NewFeedback,
  processFeedback,
  requestNotification,
  requestUnsent,
  requireFeedback,
} from '../repository/feedback.js'
import { type Feedback, feedbackRow } from '../rows.js'
import { idIn, type RouteContext } from './route-context.js'

/** Of one request; whoever has more asks again. */
const mostUnsent = 100

export const addFeedbackRoutes = (app: FastifyInstance, { database, calls }: RouteContext): void => {
  const receive = async (request: FastifyRequest, reply: FastifyReply, given: NewFeedback): Promise<Feedback> => {
    const written = await database.write(request.caller, (db) => addFeedback(db, given), { requestId: request.id })
    reply.status(201)
    return fromWrite(reply, written)
  }

  app.post(
    '/feedback/sms',
    answering(feedbackRow, { summary: 'What came as an SMS.', body: smsFeedback }, async (request, reply) => {
      const { message: text, task_id: taskId, visit_id: visitId } = parse(smsFeedback, request.body)
      return receive(request, reply, { source: 'sms', text, taskId, visitId })
    }),
  )

  app.post(
    '/feedback/voice',
    answering(feedbackRow, { summary: 'What was spoken.', body: voiceFeedback }, async (request, reply) => {
      const { transcript: text, task_id: taskId, visit_id: visitId } = parse(voiceFeedback, request.body)
      return receive(request, reply, { source: 'voice', text, taskId, visitId })
    }),
  )

  app.get(
    '/feedback',
    answering(
      feedbackPage,
      {
        summary: 'Feedback of a visit, or what is processed and of which nobody was told; the oldest first.',
        query: feedbackQuery,
      },
      async (request) => {
        const { unsent, visit_id: visitId, limit, cursor } = parse(feedbackQuery, request.query)
        const after = parsePlace(cursor)
        const isUnsent = unsent === 'true'
        return database.read(request.caller, (db) => listFeedback(db, { visitId, isUnsent, limit, after }))
      },
    ),
  )

  app.get(
    '/feedback/:id',
    answering(feedbackRow, { summary: 'Feedback.' }, async (request) => {
      const id = idIn(request)
      return database.read(request.caller, (db) => requireFeedback(db, id))
    }),
  )

  app.put(
    '/feedback/:id/process',
    answering(feedbackRow, { summary: 'The words that the listing agent gets.', body: processing }, async (request, reply) => {
      const { processed_feedback: words } = parse(processing, request.body ?? undefined)
      const id = idIn(request)
      const feedback = fromWrite(
        reply,
        await database.write(request.caller, (db) => processFeedback(db, id, words), { requestId: request.id }),
      )
      // The listing agent is told behind the answer.
      void calls.make('feedback.notify', id).catch(() => undefined)
      return feedback
    }),
  )

  // 200 once the listing agent has been told, 202 while that is tried.
  app.put(
    '/feedback/:id/notify',
    answering(feedbackRow, { summary: 'Has the listing agent be told.' }, async (request, reply) => {
      const id = idIn(request)
      await database.write(request.caller, (db) => requestNotification(db, id), { requestId: request.id })
      await calls.make('feedback.notify', id)
      const feedback = await database.read(request.caller, (db) => requireFeedback(db, id))
      if (!feedback.sent_to_agent) reply.status(202)
      return feedback
    }),
  )

  app.post(
    '/feedback/process-unsent',
    answering(requested, { summary: 'Has all listing agents be told who were not.' }, async (request, reply) => {
      const ids = fromWrite(
        reply,
        await database.write(request.caller, (db) => requestUnsent(db, mostUnsent), { requestId: request.id }),
      )
      void calls.drain().catch(() => undefined)
      reply.status(202)
      return { requested: ids.length, feedback: ids }
    }),
  )
}

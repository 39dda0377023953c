import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { answering, contextOf, fromRead, fromWrite } from 'tidemark/app'
import { visitInFull, visitPage } from '../answers.js'
import { visitMinutes } from '../day/plan-day.js'
import type { VisitStatus } from '../day/states.js'
import { moment, type NewVisit, newVisit, parse, parsePlace, visitStatus, visitsQuery } from '../input.js'
import type { PlannedVisit } from '../planning.js'
import { ReannaError } from '../reanna-error.js'
import { listFeedback } from '../repository/feedback.js'
import { listTasks } from '../repository/tasks.js'
import { requireTour } from '../repository/tours.js'
import { addVisit, changeVisitStatus, currentVisit, listVisits, requireVisit } from '../repository/visits.js'
import { type Tour, type Visit, visitRow } from '../rows.js'
import { idIn, type RouteContext } from './route-context.js'

/** To a stop that was not planned. */
const travelMs = 15 * 60_000

/** Where no times are given, it follows the last. */
const planVisit =
  (wanted: NewVisit) =>
  (tour: Tour, last: Visit | undefined): PlannedVisit => {
    const { tour_id: _tour, scheduled_arrival: given, scheduled_departure: until, ...property } = wanted
    const follows = last ? Date.parse(last.scheduled_departure) + travelMs : Date.parse(tour.start_time)
    const arrival = given === undefined ? new Date(follows) : new Date(given)
    const departure =
      until === undefined ? new Date(arrival.getTime() + visitMinutes(wanted.square_footage) * 60_000) : new Date(until)
    return { id: randomUUID(), property, arrival, departure }
  }

/** Of a visit's tasks and feedback as many come with it; the lists of them go on. */
const mostOfEach = 200

export const addVisitRoutes = (app: FastifyInstance, { database, reads, hasCrm: syncs }: RouteContext): void => {
  app.get(
    '/property-visits',
    answering(visitPage, { summary: 'Visits, in the order of the day.', query: visitsQuery }, async (request) => {
      const { tour_id: tourId, status, limit, cursor } = parse(visitsQuery, request.query)
      const after = parsePlace(cursor)
      return database.read(request.caller, (db) => listVisits(db, { tourId, status, limit, after }))
    }),
  )

  app.post(
    '/property-visits',
    answering(visitRow, { summary: 'One more stop of a tour.', body: newVisit }, async (request, reply) => {
      const wanted = parse(newVisit, request.body)
      const written = await database.write(request.caller, (db) => addVisit(db, wanted, planVisit(wanted)))
      reply.status(201)
      return fromWrite(reply, written)
    }),
  )

  // A stop with what is to be done there and what was said.
  app.get(
    '/property-visits/:id',
    answering(visitInFull, { summary: 'A stop with its tasks and feedback.' }, async (request) => {
      const id = idIn(request)
      const first = { visitId: id, limit: mostOfEach, after: parsePlace(undefined) }
      return database.read(request.caller, async (db) => {
        const visit = await requireVisit(db, id)
        const { tasks, next: tasks_next } = await listTasks(db, first)
        const { feedback, next: feedback_next } = await listFeedback(db, first)
        return { ...visit, tasks, tasks_next, feedback, feedback_next }
      })
    }),
  )

  app.get(
    '/property-visits/tour/:id/next',
    answering(visitRow, { summary: 'The first stop that is still to come.' }, async (request, reply) => {
      const visit = fromRead(reply, await reads.nextVisit(request.caller, idIn(request), contextOf(request)))
      if (visit === null) throw new ReannaError('REANNA_NOT_FOUND', 'There is no stop left.')
      return visit
    }),
  )

  app.get(
    '/property-visits/tour/:id/current',
    answering(visitRow, { summary: 'The stop where the agent is.' }, async (request) => {
      const id = idIn(request)
      const visit = await database.read(request.caller, async (db) => currentVisit(db, (await requireTour(db, id)).id))
      if (visit === null) throw new ReannaError('REANNA_NOT_FOUND', 'The agent is at no stop.')
      return visit
    }),
  )

  const change = (request: FastifyRequest, to: VisitStatus, at: string | undefined) => {
    const id = idIn(request)
    const when = at === undefined ? undefined : new Date(at)
    return database.write(request.caller, (db) => changeVisitStatus(db, id, to, { at: when, syncs }))
  }

  app.put(
    '/property-visits/:id/arrival',
    answering(visitRow, { summary: 'The agent has arrived.', body: moment }, async (request, reply) =>
      fromWrite(reply, await change(request, 'arrived', parse(moment, request.body ?? undefined).at)),
    ),
  )

  app.put(
    '/property-visits/:id/departure',
    answering(visitRow, { summary: 'The agent has left.', body: moment }, async (request, reply) =>
      fromWrite(reply, await change(request, 'completed', parse(moment, request.body ?? undefined).at)),
    ),
  )

  app.put(
    '/property-visits/:id/status',
    answering(visitRow, { summary: 'Moves a visit on.', body: visitStatus }, async (request, reply) => {
      const { status, at } = parse(visitStatus, request.body)
      return fromWrite(reply, await change(request, status, at))
    }),
  )
}

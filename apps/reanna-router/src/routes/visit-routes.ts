import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { contextOf, fromRead, fromWrite } from 'tidemark/app'
import { visitMinutes } from '../day/plan-day.js'
import type { VisitStatus } from '../day/states.js'
import { moment, type NewVisit, newVisit, parse, parsePlace, visitStatus, visitsQuery } from '../input.js'
import type { PlannedVisit } from '../planning.js'
import { ReannaError } from '../reanna-error.js'
import { feedbackOfVisit } from '../repository/feedback.js'
import { tasksOfVisit } from '../repository/tasks.js'
import { requireTour } from '../repository/tours.js'
import { addVisit, changeVisitStatus, currentVisit, listVisits, requireVisit } from '../repository/visits.js'
import type { Tour, Visit } from '../rows.js'
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

export const addVisitRoutes = (app: FastifyInstance, { database, reads, hasCrm: syncs }: RouteContext): void => {
  app.get(
    '/property-visits',
    { config: { summary: 'Visits, in the order of the day.', query: visitsQuery } },
    async (request) => {
      const { tour_id: tourId, status, limit, cursor } = parse(visitsQuery, request.query)
      const after = parsePlace(cursor)
      return database.read(request.caller, (db) => listVisits(db, { tourId, status, limit, after }))
    },
  )

  app.post('/property-visits', { config: { summary: 'One more stop of a tour.', body: newVisit } }, async (request, reply) => {
    const wanted = parse(newVisit, request.body)
    const written = await database.write(request.caller, (db) => addVisit(db, wanted, planVisit(wanted)))
    return reply.status(201).send(fromWrite(reply, written))
  })

  // A stop with what is to be done there and what was said.
  app.get('/property-visits/:id', { config: { summary: 'A stop with its tasks and feedback.' } }, async (request) => {
    const id = idIn(request)
    return database.read(request.caller, async (db) => ({
      ...(await requireVisit(db, id)),
      tasks: await tasksOfVisit(db, id),
      feedback: await feedbackOfVisit(db, id),
    }))
  })

  app.get(
    '/property-visits/tour/:id/next',
    { config: { summary: 'The first stop that is still to come.' } },
    async (request, reply) => {
      const visit = fromRead(reply, await reads.nextVisit(request.caller, idIn(request), contextOf(request)))
      if (visit === null) throw new ReannaError('REANNA_NOT_FOUND', 'There is no stop left.')
      return visit
    },
  )

  app.get('/property-visits/tour/:id/current', { config: { summary: 'The stop where the agent is.' } }, async (request) => {
    const id = idIn(request)
    const visit = await database.read(request.caller, async (db) => currentVisit(db, (await requireTour(db, id)).id))
    if (visit === null) throw new ReannaError('REANNA_NOT_FOUND', 'The agent is at no stop.')
    return visit
  })

  const change = (request: FastifyRequest, to: VisitStatus, at: string | undefined) => {
    const id = idIn(request)
    const when = at === undefined ? undefined : new Date(at)
    return database.write(request.caller, (db) => changeVisitStatus(db, id, to, { at: when, syncs }))
  }

  app.put(
    '/property-visits/:id/arrival',
    { config: { summary: 'The agent has arrived.', body: moment } },
    async (request, reply) => fromWrite(reply, await change(request, 'arrived', parse(moment, request.body ?? undefined).at)),
  )

  app.put(
    '/property-visits/:id/departure',
    { config: { summary: 'The agent has left.', body: moment } },
    async (request, reply) => fromWrite(reply, await change(request, 'completed', parse(moment, request.body ?? undefined).at)),
  )

  app.put(
    '/property-visits/:id/status',
    { config: { summary: 'Moves a visit on.', body: visitStatus } },
    async (request, reply) => {
      const { status, at } = parse(visitStatus, request.body)
      return fromWrite(reply, await change(request, status, at))
    },
  )
}

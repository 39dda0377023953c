import type { FastifyInstance } from 'fastify'
import { answering, contextOf, fromRead, fromWrite } from 'tidemark/app'
import { board, journal, tourPage, tourWithVisits } from '../answers.js'
import { boardQuery, journalQuery, newTour, parse, parsePlace, tourStatus, toursQuery } from '../input.js'
import { planTour } from '../planning.js'
import { ReannaError } from '../reanna-error.js'
import { boardOf } from '../repository/board.js'
import { createTour } from '../repository/create-tour.js'
import { journalOf } from '../repository/journal.js'
import { changeTourStatus, listTours, requestSync, requireTour } from '../repository/tours.js'
import { visitsOf } from '../repository/visits.js'
import { type Db, tourRow } from '../rows.js'
import { idIn, type RouteContext } from './route-context.js'

/** Stops come whole with their tour: it is a day of one agent, and takes at most 200. So do the stops of a board, with each of its tours. */
export const addTourRoutes = (app: FastifyInstance, { database, reads, calls, routing, hasCrm: syncs }: RouteContext): void => {
  app.post(
    '/tours',
    answering(
      tourWithVisits,
      { summary: 'A day that is planned, with its visits in order.', body: newTour },
      async (request, reply) => {
        const { caller } = request
        const wanted = parse(newTour, request.body)
        const agentId = wanted.agent_id ?? caller.sub
        if (agentId === '') throw new ReannaError('REANNA_INVALID', 'agent_id: the service says whose tour it is.')
        // Before the map service is asked: a tour of somebody else's is not made anyway.
        if (!caller.isAdmin && agentId !== caller.sub) throw new ReannaError('REANNA_FORBIDDEN')
        const plan = await planTour(wanted, routing)
        const written = await database.write(caller, async (db) => {
          const tour = await createTour(db, agentId, plan, { syncs })
          return { ...tour, visits: await visitsOf(db, tour.id) }
        })
        const tour = fromWrite(reply, written)
        reply.status(201).header('location', `/tours/${tour.id}`)
        return tour
      },
    ),
  )

  app.get(
    '/tours',
    answering(tourPage, { summary: 'Tours, the latest day first.', query: toursQuery }, async (request) => {
      const query = parse(toursQuery, request.query)
      const after = parsePlace(query.cursor)
      return database.read(request.caller, (db) =>
        listTours(db, {
          agentId: query.agent_id,
          status: query.status,
          crmSyncStatus: query.crm_sync_status,
          isActive: query.active === undefined ? undefined : query.active === 'true',
          from: query.from,
          until: query.until,
          limit: query.limit,
          after,
        }),
      )
    }),
  )

  app.get(
    '/tours/:id',
    answering(tourWithVisits, { summary: 'A tour with its visits.' }, async (request, reply) =>
      fromRead(reply, await reads.tour(request.caller, idIn(request), contextOf(request))),
    ),
  )

  app.put(
    '/tours/:id/status',
    answering(tourRow, { summary: 'Moves a tour on.', body: tourStatus }, async (request, reply) => {
      const { status, force } = parse(tourStatus, request.body)
      const id = idIn(request)
      return fromWrite(reply, await database.write(request.caller, (db) => changeTourStatus(db, id, status, { force, syncs })))
    }),
  )

  // The page is the latest one, and what comes next was before it; on each the oldest is first.
  app.get(
    '/tours/:id/journal',
    answering(journal, { summary: 'What happened on a tour, in order.', query: journalQuery }, async (request) => {
      const { limit, cursor } = parse(journalQuery, request.query)
      const after = parsePlace(cursor)
      const id = idIn(request)
      const read = async (db: Db) => journalOf(db, await requireTour(db, id), { limit, after })
      const { tour, entries, next } = await database.read(request.caller, read)
      return { tour_id: tour.id, time_zone: tour.time_zone, entries, next }
    }),
  )

  // 200 once the CRM has been told, or has refused for good; 202 while it has not.
  app.post(
    '/tours/:id/crm-sync',
    answering(tourRow, { summary: 'Has the CRM be told of a tour as it is.' }, async (request, reply) => {
      if (!syncs) throw new ReannaError('REANNA_NOT_CONFIGURED')
      const id = idIn(request)
      await database.write(request.caller, (db) => requestSync(db, id))
      await calls.make('crm.sync_tour', id)
      const tour = await database.read(request.caller, (db) => requireTour(db, id))
      if (tour.crm_sync_status === 'pending') reply.status(202).header('retry-after', '1')
      return tour
    }),
  )

  app.get(
    '/board',
    answering(
      board,
      { summary: 'The tours of a day with their stops, planned and as they went.', query: boardQuery },
      async (request) => {
        const { day, limit, cursor } = parse(boardQuery, request.query)
        const after = parsePlace(cursor)
        return database.read(request.caller, (db) => boardOf(db, { day: day ?? null, limit, after }))
      },
    ),
  )
}

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { answering, contextOf, fromRead, fromWrite } from 'tidemark/app'
import type { Caller } from '../access.js'
import { eventPage, leadPage } from '../answers.js'
import { EngineError } from '../engine-error.js'
import { assignment, eventsQuery, leadChange, leadsQuery, type NewLeadInput, newEvent, newLead, parse } from '../input.js'
import { addEvent, eventsOf } from '../repository/events.js'
import { assignLead, changeLead, createLead, deleteLead, inTurn, listLeads, mergeLead, requireLead } from '../repository/leads.js'
import { type Db, eventRow, type Lead, leadRow } from '../rows.js'
import { selected } from '../tables.js'
import { idIn, type RouteContext } from './route-context.js'

/** Who looks after a new lead: who is named, else whose turn it is; an agent's own leads are their own. Raises ENGINE_FORBIDDEN. */
const keeperOf = async (db: Db, { isAdmin }: Caller, named: string | undefined): Promise<string | typeof inTurn> => {
  if (isAdmin) return named ?? inTurn
  const [row] = await selected<{ id: string | null }>(db, 'select re_engine.my_agent() as id')
  const own = row?.id ?? null
  if (own === null || (named !== undefined && named !== own)) throw new EngineError('ENGINE_FORBIDDEN')
  return own
}

export const addLeadRoutes = (app: FastifyInstance, { database, reads, touches }: RouteContext): void => {
  const isMerging = ({ query }: FastifyRequest): boolean =>
    (query as { readonly on_duplicate?: unknown }).on_duplicate === 'merge'

  const make = async (db: Db, caller: Caller, given: NewLeadInput, merges: boolean): Promise<{ lead: Lead; isNew: boolean }> => {
    const made = await createLead(db, given, await keeperOf(db, caller, given.assigned_agent))
    if (!('duplicateOf' in made)) return { lead: made, isNew: true }
    const known = made.duplicateOf
    // Whose it is may not be the caller's to know.
    if (!merges || known === null)
      throw new EngineError('ENGINE_DUPLICATE', undefined, { details: known === null ? undefined : { id: known.id } })
    return { lead: await mergeLead(db, known.id, given), isNew: false }
  }

  // A lead that is there already is told with its id; `?on_duplicate=merge` gives it what it lacks.
  app.post(
    '/leads',
    answering(leadRow, { summary: 'A new lead, given to an agent.', body: newLead }, async (request, reply) => {
      const given = parse(newLead, request.body)
      const written = await database.write(request.caller, (db) => make(db, request.caller, given, isMerging(request)), {
        requestId: request.id,
      })
      const { lead, isNew } = fromWrite(reply, written)
      reply.status(isNew ? 201 : 200).header('location', `/leads/${lead.id}`)
      return lead
    }),
  )

  app.get(
    '/leads',
    answering(leadPage, { summary: 'Leads, the newest first.', query: leadsQuery }, async (request) => {
      const query = parse(leadsQuery, request.query)
      const { rows: leads, next } = await database.read(request.caller, (db) => listLeads(db, query))
      return { leads, next }
    }),
  )

  app.get(
    '/leads/:id',
    answering(leadRow, { summary: 'A lead.' }, async (request, reply) =>
      fromRead(reply, await reads.lead(request.caller, idIn(request), contextOf(request))),
    ),
  )

  const write = async <T>(request: FastifyRequest, reply: FastifyReply, fn: (db: Db, id: string) => Promise<T>): Promise<T> => {
    const id = idIn(request)
    const options = { touches: touches.lead(id), requestId: request.id }
    return fromWrite(reply, await database.write(request.caller, (db) => fn(db, id), options))
  }

  app.patch(
    '/leads/:id',
    answering(leadRow, { summary: 'Changes a lead, or moves it on.', body: leadChange }, async (request, reply) => {
      const change = parse(leadChange, request.body)
      return write(request, reply, (db, id) => changeLead(db, id, change))
    }),
  )

  app.post(
    '/leads/:id/assign',
    answering(leadRow, { summary: 'Gives it to an agent, or to whose turn it is.', body: assignment }, async (request, reply) => {
      const { agent_id: agentId } = parse(assignment, request.body ?? undefined)
      return write(request, reply, (db, id) => assignLead(db, id, agentId))
    }),
  )

  app.delete(
    '/leads/:id',
    answering(leadRow, { summary: 'Removes a lead.' }, async (request, reply) => write(request, reply, deleteLead)),
  )

  app.get(
    '/leads/:id/events',
    answering(eventPage, { summary: 'What happened, the latest first.', query: eventsQuery }, async (request) => {
      const query = parse(eventsQuery, request.query)
      const id = idIn(request)
      const { rows: events, next } = await database.read(request.caller, async (db) =>
        eventsOf(db, (await requireLead(db, id)).id, query),
      )
      return { events, next }
    }),
  )

  // What an agent did: a call, or a note.
  app.post(
    '/leads/:id/events',
    answering(eventRow, { summary: 'A call or a note.', body: newEvent }, async (request, reply) => {
      const { event_type: type, external_id: externalId, occurred_at: occurredAt, ...given } = parse(newEvent, request.body)
      const id = idIn(request)
      const written = await database.write(request.caller, async (db) => {
        const { assigned_agent: _agent } = await requireLead(db, id)
        return addEvent(db, { leadId: id, source: 'agent', type, externalId, occurredAt, ...given })
      })
      const { event, isNew } = fromWrite(reply, written)
      reply.status(isNew ? 201 : 200)
      return event
    }),
  )
}

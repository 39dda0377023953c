/** What is for admins and for other systems: reports, settings, messages that come in, what runs how. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { answering, fromWrite } from 'tidemark/app'
import { requireAdmin } from '../access.js'
import * as answers from '../answers.js'
import { inbound, parse, periodQuery, settingsChange } from '../input.js'
import type { Ops } from '../ops.js'
import { receive } from '../repository/events.js'
import { refreshReports } from '../repository/reports.js'
import { changeSettings, readSettings } from '../repository/settings.js'
import type { RouteContext } from './route-context.js'

export interface AdminContext extends RouteContext {
  readonly ops: Ops
}

export const addAdminRoutes = (app: FastifyInstance, { server, reports, touches, ops }: AdminContext): void => {
  app.register(async (routes) => {
    routes.addHook('onRequest', async ({ caller }) => requireAdmin(caller))

    const period = ({ query }: FastifyRequest) => parse(periodQuery, query)
    const notes = (summary: string) => ({ summary, query: periodQuery })
    routes.get(
      '/analytics/conversion',
      answering(answers.conversionReport, notes('How many leads became customers.'), (request) =>
        reports.conversion(period(request)),
      ),
    )
    routes.get(
      '/analytics/first-response',
      answering(answers.firstResponseReport, notes('How soon leads hear of an agent.'), (request) =>
        reports.firstResponse(period(request)),
      ),
    )
    routes.get(
      '/analytics/league',
      answering(answers.leagueReport, notes('Agents, who converted most first.'), (request) => reports.league(period(request))),
    )
    routes.get(
      '/analytics/funnel',
      answering(answers.funnelReport, notes('How far leads came.'), (request) => reports.funnel(period(request))),
    )
    routes.get(
      '/analytics/trends',
      answering(answers.trendsReport, notes('Week by week.'), (request) => reports.trends(period(request))),
    )
    routes.get(
      '/analytics/approvals',
      answering(answers.approvalsReport, notes('How drafts were decided, and how soon.'), (request) =>
        reports.approvals(period(request)),
      ),
    )

    // 202: somebody else is at it.
    routes.post(
      '/analytics/refresh',
      answering(answers.refreshed, { summary: 'Computes reports anew.' }, async (request, reply) => {
        const isDone = fromWrite(reply, await server.write((db) => refreshReports(db), { caller: request.caller }))
        reply.status(isDone ? 200 : 202)
        return { refreshed: isDone }
      }),
    )

    routes.get(
      '/settings',
      answering(answers.settings, { summary: 'What the house decides.' }, async (_request, reply) =>
        fromWrite(reply, await server.write(readSettings)),
      ),
    )
    routes.put(
      '/settings',
      answering(answers.settings, { summary: 'Decides otherwise.', body: settingsChange }, async (request, reply) => {
        const change = parse(settingsChange, request.body)
        const { caller, id: requestId } = request
        return fromWrite(reply, await server.write((db) => changeSettings(db, change), { caller, requestId }))
      }),
    )

    // What a carrier of messages tells; twice is once.
    routes.post(
      '/inbound',
      answering(
        answers.received,
        { summary: 'A message that came in, or one that came back.', body: inbound },
        async (request, reply) => {
          const told = parse(inbound, request.body)
          const { caller, id: requestId } = request
          const options = { caller, requestId, touches: touches.everything() }
          const { event, isNew, wish, lead } = fromWrite(reply, await server.write((db) => receive(db, told), options))
          reply.status(isNew ? 201 : 200)
          return { event, wish, lead_id: lead?.id ?? null, do_not_contact: lead?.do_not_contact ?? null }
        },
      ),
    )

    routes.get(
      '/ops/overview',
      answering(answers.overview, { summary: 'Pools, caches, breakers and limits.' }, async () => ops.overview()),
    )
  })
}

/** What is for admins and for other systems: reports, settings, messages that come in, what runs how. */
import type { FastifyInstance } from 'fastify'
import { fromWrite } from 'tidemark/app'
import { requireAdmin } from '../access.js'
import { inbound, parse, periodQuery, settingsChange } from '../input.js'
import type { Ops } from '../ops.js'
import { receive } from '../repository/events.js'
import { type Reports, refreshReports } from '../repository/reports.js'
import { changeSettings, readSettings } from '../repository/settings.js'
import type { RouteContext } from './route-context.js'

const reportNames = {
  conversion: 'conversion',
  'first-response': 'firstResponse',
  league: 'league',
  funnel: 'funnel',
  trends: 'trends',
  approvals: 'approvals',
} as const satisfies Readonly<Record<string, keyof Reports>>

export interface AdminContext extends RouteContext {
  readonly ops: Ops
}

export const addAdminRoutes = (app: FastifyInstance, { server, reports, touches, ops }: AdminContext): void => {
  app.register(async (routes) => {
    routes.addHook('onRequest', async ({ caller }) => requireAdmin(caller))

    for (const [path, name] of Object.entries(reportNames))
      routes.get(`/analytics/${path}`, { config: { summary: 'A report.', query: periodQuery } }, async (request) =>
        reports[name](parse(periodQuery, request.query)),
      )

    // 202: somebody else is at it.
    routes.post('/analytics/refresh', { config: { summary: 'Computes reports anew.' } }, async (request, reply) => {
      const isDone = fromWrite(reply, await server.write((db) => refreshReports(db), { caller: request.caller }))
      return reply.status(isDone ? 200 : 202).send({ refreshed: isDone })
    })

    routes.get('/settings', { config: { summary: 'What the house decides.' } }, async (_request, reply) =>
      fromWrite(reply, await server.write(readSettings)),
    )
    routes.put('/settings', { config: { summary: 'Decides otherwise.', body: settingsChange } }, async (request, reply) => {
      const change = parse(settingsChange, request.body)
      const { caller, id: requestId } = request
      return fromWrite(reply, await server.write((db) => changeSettings(db, change), { caller, requestId }))
    })

    // What a carrier of messages tells; twice is once.
    routes.post(
      '/inbound',
      { config: { summary: 'A message that came in, or one that came back.', body: inbound } },
      async (request, reply) => {
        const told = parse(inbound, request.body)
        const { caller, id: requestId } = request
        const options = { caller, requestId, touches: touches.everything() }
        const { event, isNew, wish, lead } = fromWrite(reply, await server.write((db) => receive(db, told), options))
        return reply
          .status(isNew ? 201 : 200)
          .send({ event, wish, lead_id: lead?.id ?? null, do_not_contact: lead?.do_not_contact ?? null })
      },
    )

    routes.get('/ops/overview', { config: { summary: 'Pools, caches, breakers and limits.' } }, async () => ops.overview())
  })
}

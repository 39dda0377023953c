import type { FastifyInstance } from 'fastify'
import { fromRead } from 'tidemark/app'
import { requireAdmin } from '../access.js'
import { hoursQuery, parse, replayRequest } from '../input.js'
import { idIn, type RouteContext } from './route-context.js'

/** What the operations dashboard shows. For admins, under the rights of the server. */
export const addOpsRoutes = (app: FastifyInstance, { ops, reads, calls, replays }: RouteContext): void => {
  app.register(
    async (routes) => {
      routes.addHook('onRequest', async ({ caller }) => requireAdmin(caller))
      routes.get('/overview', async (_request, reply) => fromRead(reply, await reads.dashboard()))
      routes.get('/breakers', async () => ({ breakers: ops.breakers(), events: await ops.breakerEvents() }))
      routes.get('/limits', async () => ({ limits: ops.limits() }))
      routes.get('/webhooks', async () => ({ backlog: await ops.webhookBacklog(), dead_letters: await ops.deadLetters() }))
      // Without `dry_run` they are sent through again, a little at a time.
      routes.post('/webhooks/replay', async (request, reply) => {
        const { dry_run: isDry, ...selection } = parse(replayRequest, request.body)
        if (isDry) return { events: await replays.count(selection) }
        return reply.status(202).send(await replays.start(selection, request.caller.sub || request.caller.role))
      })
      routes.get('/webhooks/replays', async () => ({ replays: await replays.list() }))
      routes.get('/alerts', async () => ({ alerts: await ops.openAlerts() }))
      routes.get('/errors', async (request) => {
        const { hours } = parse(hoursQuery, request.query)
        return { hours, endpoints: await ops.errorRates(hours) }
      })
      routes.get('/calls', async () => ({ backlog: await ops.callBacklog(), failed: await ops.failedCalls() }))
      routes.post('/calls/:id/retry', async (request, reply) => {
        const call = await ops.retryCall(idIn(request))
        void calls.drain().catch(() => undefined)
        return reply.status(202).send(call)
      })
    },
    { prefix: '/ops' },
  )
}

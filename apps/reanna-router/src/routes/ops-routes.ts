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
      routes.get(
        '/overview',
        { config: { summary: 'Counts of tours, visits, tasks and what the CRM knows, by state.' } },
        async (_request, reply) => fromRead(reply, await reads.dashboard()),
      )
      routes.get('/breakers', { config: { summary: 'Breakers, and what they did.' } }, async () => ({
        breakers: ops.breakers(),
        events: await ops.breakerEvents(),
      }))
      routes.get('/limits', { config: { summary: 'Limits of calls, and how often they refused.' } }, async () => ({
        limits: ops.limits(),
      }))
      routes.get('/webhooks', { config: { summary: 'Events that wait, and dead letters.' } }, async () => ({
        backlog: await ops.webhookBacklog(),
        dead_letters: await ops.deadLetters(),
      }))
      // Without `dry_run` they are sent through again, a little at a time.
      routes.post(
        '/webhooks/replay',
        { config: { summary: 'Sends events through again.', body: replayRequest } },
        async (request, reply) => {
          const { dry_run: isDry, ...selection } = parse(replayRequest, request.body)
          if (isDry) return { events: await replays.count(selection) }
          return reply.status(202).send(await replays.start(selection, request.caller.sub || request.caller.role))
        },
      )
      routes.get('/webhooks/replays', { config: { summary: 'What was sent through again, and how far that is.' } }, async () => ({
        replays: await replays.list(),
      }))
      routes.get('/alerts', { config: { summary: 'Open alerts.' } }, async () => ({ alerts: await ops.openAlerts() }))
      routes.get('/errors', { config: { summary: 'Error rates by endpoint and hour.', query: hoursQuery } }, async (request) => {
        const { hours } = parse(hoursQuery, request.query)
        return { hours, endpoints: await ops.errorRates(hours) }
      })
      routes.get('/calls', { config: { summary: 'Calls to other systems that wait or failed.' } }, async () => ({
        backlog: await ops.callBacklog(),
        failed: await ops.failedCalls(),
      }))
      routes.post('/calls/:id/retry', { config: { summary: 'Has a failed call made again.' } }, async (request, reply) => {
        const call = await ops.retryCall(idIn(request))
        void calls.drain().catch(() => undefined)
        return reply.status(202).send(call)
      })
    },
    { prefix: '/ops' },
  )
}

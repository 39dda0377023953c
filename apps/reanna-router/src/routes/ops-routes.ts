import type { FastifyInstance, FastifyRequest } from 'fastify'
import { answering, fromRead, placeOf } from 'tidemark/app'
import { requireAdmin } from '../access.js'
import * as answers from '../answers.js'
import { errorsQuery, latestQuery, parse, parsePlace, replayRequest } from '../input.js'
import type { Latest } from '../ops.js'
import { idIn, type RouteContext } from './route-context.js'

const latest = (request: FastifyRequest): Latest => {
  const { limit, cursor } = parse(latestQuery, request.query)
  return { limit, after: parsePlace(cursor) }
}

/**
 * What the operations dashboard shows. For admins, under the rights of the server. Beside the pages stand what is whole by nature: breakers and limits, of
 * which there is one for each service, and backlogs, which are counts by kind and state.
 */
export const addOpsRoutes = (app: FastifyInstance, { ops, reads, calls, replays }: RouteContext): void => {
  app.register(
    async (routes) => {
      routes.addHook('onRequest', async ({ caller }) => requireAdmin(caller))
      routes.get(
        '/overview',
        answering(
          answers.overview,
          { summary: 'Counts of tours, visits, tasks and what the CRM knows, by state.' },
          async (_request, reply) => fromRead(reply, await reads.dashboard()),
        ),
      )
      routes.get(
        '/breakers',
        answering(
          answers.breakers,
          { summary: 'Breakers, and what they did, the latest first.', query: latestQuery },
          async (request) => ({ breakers: ops.breakers(), ...(await ops.breakerEvents(latest(request))) }),
        ),
      )
      routes.get(
        '/limits',
        answering(answers.limits, { summary: 'Limits of calls, and how often they refused.' }, async () => ({
          limits: ops.limits(),
        })),
      )
      routes.get(
        '/webhooks',
        answering(
          answers.webhooks,
          { summary: 'Events that wait, and dead letters, the latest first.', query: latestQuery },
          async (request) => {
            const letters = await ops.deadLetters(latest(request))
            return { backlog: await ops.webhookBacklog(), ...letters }
          },
        ),
      )
      // Without `dry_run` they are sent through again, a little at a time.
      routes.post(
        '/webhooks/replay',
        answering(answers.replayed, { summary: 'Sends events through again.', body: replayRequest }, async (request, reply) => {
          const { dry_run: isDry, ...selection } = parse(replayRequest, request.body)
          if (isDry) return { events: await replays.count(selection) }
          reply.status(202)
          return replays.start(selection, request.caller.sub || request.caller.role)
        }),
      )
      routes.get(
        '/webhooks/replays',
        answering(
          answers.replays,
          { summary: 'What was sent through again, and how far that is, the latest first.', query: latestQuery },
          async (request) => {
            const { limit, after } = latest(request)
            const [createdAt, id] = after
            const found = await replays.list(limit + 1, createdAt === null ? undefined : { createdAt, id })
            const [shown, last] = [found.slice(0, limit), found[limit - 1]]
            return { replays: shown, next: found.length > limit && last ? placeOf(last.createdAt, last.id) : null }
          },
        ),
      )
      routes.get(
        '/alerts',
        answering(answers.alerts, { summary: 'Open alerts, the latest first.', query: latestQuery }, async (request) =>
          ops.openAlerts(latest(request)),
        ),
      )
      routes.get(
        '/errors',
        answering(
          answers.errorRates,
          { summary: 'Error rates by endpoint and hour, the latest hour first.', query: errorsQuery },
          async (request) => {
            const { hours, limit, cursor } = parse(errorsQuery, request.query)
            return { hours, ...(await ops.errorRates(hours, { limit, after: parsePlace(cursor) })) }
          },
        ),
      )
      routes.get(
        '/calls',
        answering(
          answers.callsInTrouble,
          { summary: 'Calls to other systems that wait, and those that failed, the latest first.', query: latestQuery },
          async (request) => {
            const failed = await ops.failedCalls(latest(request))
            return { backlog: await ops.callBacklog(), ...failed }
          },
        ),
      )
      routes.post(
        '/calls/:id/retry',
        answering(answers.retriedCall, { summary: 'Has a failed call made again.' }, async (request, reply) => {
          const call = await ops.retryCall(idIn(request))
          void calls.drain().catch(() => undefined)
          reply.status(202)
          return call
        }),
      )
    },
    { prefix: '/ops' },
  )
}

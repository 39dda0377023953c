import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { toTidemarkError } from '../../errors.js'
import type { ServerFeed } from '../feed/feed.js'
import { validate } from '../http/validate.js'
import type { OpenedRedis } from '../open-redis.js'
import * as feed from '../operations/feed.js'
import { feedTail, type TailRequest, type Told, tailRequest } from '../operations/feed-tail.js'
import type { Project } from '../project/project.js'
import { beginEvents, type EventResponse } from './event-response.js'
import { createSharedTails, type SharedTails, type TailListener } from './shared-tails.js'

export interface FeedRoutesOptions {
  /** Raises TM_SERVER_STARTING until Postgres is there. */
  project(): Project
  /** Undefined while the server starts. */
  redis(): OpenedRedis | undefined
  /** Undefined where this process has no part in the feed. */
  feed(): ServerFeed | undefined
}

const tailQuery = z.strictObject({ tables: z.string().min(1).optional(), from: z.string().min(1).optional() })

const idOf = (told: Told): string | undefined => (told.type === 'change' && !told.last ? undefined : told.position)

const sendTold = (events: EventResponse, told: Told): boolean => events.send(told.type, told, idOf(told))

export const sendEnd = (events: EventResponse, error: unknown): void => {
  if (error !== undefined) events.send('error', toTidemarkError(error).toJSON())
  events.end()
}

/** A reader that does not keep up is told that there is a gap, as soon as it can be told anything. */
const sendOrSkip = (events: EventResponse): TailListener['onTold'] => {
  let isBehind = false
  return (told) => {
    if (isBehind || sendTold(events, told)) return
    isBehind = true
    void events.drained().then(() => {
      isBehind = false
      events.send('reset', {
        type: 'reset',
        reason: 'this reader did not keep up: some changes are missing',
        position: told.position,
      })
    })
  }
}

/** From a position on, which is a reader of its own: it waits for its client. */
const streamFrom = async (
  { project, redis }: FeedRoutesOptions,
  request: TailRequest,
  events: EventResponse,
  signal: AbortSignal,
): Promise<void> => {
  const onTold = async (told: Told): Promise<void> => {
    while (!events.isOver && !sendTold(events, told)) await events.drained()
  }
  const run = { signal, onTold, onListening: () => void events.send('listening', {}), redis: redis() }
  await feedTail(project(), request, run).then(
    () => events.end(),
    (error: unknown) => sendEnd(events, events.isOver ? undefined : error),
  )
}

/** What is told from now on, by readers that all pages share. They end with the server. */
export const openSharedTails = (app: FastifyInstance, options: Pick<FeedRoutesOptions, 'project' | 'redis'>): SharedTails => {
  const tails = createSharedTails((tables, run) =>
    feedTail(options.project(), tables === undefined ? {} : { tables: [...tables] }, { ...run, redis: options.redis() }),
  )
  app.addHook('preClose', () => tails.stop())
  return tails
}

/** /feed/lag, /feed/slots and /feed/tail. */
export const addFeedRoutes = (app: FastifyInstance, options: FeedRoutesOptions, tails: SharedTails): void => {
  const own = new Set<AbortController>()
  app.addHook('preClose', async () => {
    for (const controller of own) controller.abort()
  })
  app.get('/feed/lag', async () =>
    feed.feedLag(options.project(), { node: options.feed()?.describe() ?? null, redis: options.redis() }),
  )
  app.get('/feed/slots', async () => feed.feedSlots(options.project()))
  app.delete('/feed/slots/:name', async (request) => {
    const { name } = validate(feed.dropSlotRequest, request.params)
    return feed.feedDropSlot(options.project(), name)
  })
  app.get('/feed/tail', (request, reply) => {
    const { tables, from } = validate(tailQuery, request.query)
    const resumed = from ?? request.headers['last-event-id']
    const wanted = validate(tailRequest, {
      ...(tables !== undefined && { tables: tables.split(',').filter((name) => name !== '') }),
      ...(typeof resumed === 'string' && { from: resumed }),
    })
    options.project()
    if (wanted.from === undefined) {
      const events = beginEvents(request, reply, () => leave())
      const leave = tails.listen(wanted.tables, {
        onListening: (position) => void events.send('listening', {}, position),
        onTold: sendOrSkip(events),
        onEnd: (error) => sendEnd(events, error),
      })
      return
    }
    const controller = new AbortController()
    own.add(controller)
    const events = beginEvents(request, reply, () => controller.abort())
    void streamFrom(options, wanted, events, controller.signal).finally(() => own.delete(controller))
  })
}

import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { toTidemarkError } from '../../errors.js'
import type { ServerFeed } from '../feed/feed.js'
import { validate } from '../http/validate.js'
import type { OpenedRedis } from '../open-redis.js'
import * as feed from '../operations/feed.js'
import { feedTail, type Told, tailRequest } from '../operations/feed-tail.js'
import type { Project } from '../project/project.js'

export interface FeedRoutesOptions {
  /** Raises TM_SERVER_STARTING until Postgres is there. */
  project(): Project
  /** Undefined while the server starts. */
  redis(): OpenedRedis | undefined
  /** Undefined where this process has no part in the feed. */
  feed(): ServerFeed | undefined
}

const heartbeatMs = 15_000
/** A reader that lets so much wait gets no more until it has read some. */
const maxBufferedBytes = 256 * 1024

const tailQuery = z.strictObject({ tables: z.string().min(1).optional(), from: z.string().min(1).optional() })

const frame = (told: Told): string => {
  const id = told.type === 'change' && !told.last ? '' : `id: ${told.position}\n`
  return `${id}event: ${told.type}\ndata: ${JSON.stringify(told)}\n\n`
}

const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    response.once('drain', resolve)
    response.once('close', resolve)
  })

/** Changes as Server-Sent Events until the client goes. What fails after the head is told as an event of its own. */
const streamTail = async (
  project: Project,
  request: z.output<typeof tailRequest>,
  redis: OpenedRedis | undefined,
  response: ServerResponse,
  controller: AbortController,
): Promise<void> => {
  response.once('close', () => controller.abort())
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  response.write('retry: 1000\n\n')
  const heartbeat = setInterval(() => response.write(': still here\n\n'), heartbeatMs)
  heartbeat.unref()
  const onTold = async (told: Told): Promise<void> => {
    response.write(frame(told))
    if (response.writableLength > maxBufferedBytes && !response.closed) await drained(response)
  }
  try {
    await feedTail(project, request, { signal: controller.signal, onTold, redis })
  } catch (error) {
    if (!response.closed) response.write(`event: error\ndata: ${JSON.stringify(toTidemarkError(error).toJSON())}\n\n`)
  } finally {
    clearInterval(heartbeat)
    response.end()
  }
}

/** /feed/lag, /feed/slots and /feed/tail. */
export const addFeedRoutes = (app: FastifyInstance, options: FeedRoutesOptions): void => {
  const tails = new Set<AbortController>()
  app.addHook('preClose', async () => {
    for (const controller of tails) controller.abort()
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
    const project = options.project()
    reply.hijack()
    const controller = new AbortController()
    tails.add(controller)
    void streamTail(project, wanted, options.redis(), reply.raw, controller).finally(() => tails.delete(controller))
  })
}

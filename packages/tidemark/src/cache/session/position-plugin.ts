/** Positions over HTTP: a client hands back what its write was answered with, to whatever server it asks next (CACHE-5). */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { formatPosition, type Position, parsePosition } from '../../feed/position.js'
import type { CacheSession } from './session.js'

/** In requests and, after a write, in answers. */
export const positionHeader = 'tidemark-position'

/** A cache, as far as the plugin needs it. */
export interface SessionCache {
  session<T>(position: Position | undefined, fn: (session: CacheSession) => T): T
}

/** Undefined without one. Raises TM_FEED_POSITION, with the status that Fastify answers. */
const positionOf = (request: FastifyRequest): Position | undefined => {
  const given = request.headers[positionHeader]
  if (given === undefined) return undefined
  try {
    return parsePosition(String(given))
  } catch (error) {
    throw Object.assign(error as Error, { statusCode: 400 })
  }
}

/**
 * A Fastify plugin: each request is a session of the cache. Reads in it see what `Tidemark-Position` says; where it wrote, the answer carries
 * the header. A header that is no position is answered with 400 and TM_FEED_POSITION.
 *
 * ```ts
 * await app.register(positionPlugin(cache))
 * ```
 */
export const positionPlugin = (cache: SessionCache): ((app: FastifyInstance) => Promise<void>) => {
  const plugin = async (app: FastifyInstance): Promise<void> => {
    const sessions = new WeakMap<FastifyRequest, CacheSession>()
    app.addHook('onRequest', (request, _reply, done) => {
      let position: Position | undefined
      try {
        position = positionOf(request)
      } catch (error) {
        done(error as Error)
        return
      }
      cache.session(position, (session) => {
        sessions.set(request, session)
        done()
      })
    })
    // Reading a body ends in callbacks of the connection, which know nothing of the request.
    app.addHook('preValidation', (request, _reply, done) => {
      const session = sessions.get(request)
      if (session) session.run(done)
      else done()
    })
    app.addHook('onSend', async (request, reply) => {
      const session = sessions.get(request)
      if (session?.hasWritten && session.position) reply.header(positionHeader, formatPosition(session.position))
    })
  }
  // For all routes of whoever registers it, not only those beside it.
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true })
}

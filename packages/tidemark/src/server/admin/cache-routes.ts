import type { FastifyInstance } from 'fastify'
import type { Cache, Definitions } from '../../cache/create-cache.js'
import { validate } from '../http/validate.js'
import type { OpenedRedis } from '../open-redis.js'
import * as cache from '../operations/cache.js'
import type { Project } from '../project/project.js'

export interface CacheRoutesOptions {
  /** Raises TM_SERVER_STARTING until Postgres is there. */
  project(): Project
  /** Undefined while the server starts. */
  redis(): OpenedRedis | undefined
  /** Undefined where nothing is cached. */
  cache(): Cache<Definitions> | undefined
}

/** /cache, /cache/key, /cache/touched and /cache/evict. */
export const addCacheRoutes = (app: FastifyInstance, options: CacheRoutesOptions): void => {
  const input = (): cache.CacheInput => ({ cache: options.cache(), redis: options.redis() })
  app.get('/cache', async () => cache.cacheStats(options.project(), input()))
  app.get('/cache/key', async (request) => {
    const { key } = validate(cache.keyRequest, request.query)
    return cache.cacheGet(options.project(), key, input())
  })
  app.get('/cache/touched', async (request) =>
    cache.cacheTouched(options.project(), validate(cache.touchedRequest, request.query).table),
  )
  app.post('/cache/evict', async (request) =>
    cache.cacheEvict(options.project(), validate(cache.evictRequest, request.body), input()),
  )
}

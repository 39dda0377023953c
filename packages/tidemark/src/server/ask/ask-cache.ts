import { openRedis } from '../open-redis.js'
import * as operations from '../operations/cache.js'
import type { Project } from '../project/project.js'
import { askServer } from './ask-server.js'

const straight = async <T>(project: Project, fn: (input: operations.CacheInput) => Promise<T>): Promise<T> => {
  const { config, state, log } = project
  const redis = await openRedis({ config, state, log })
  try {
    return await fn({ cache: undefined, redis })
  } finally {
    await redis.stop()
  }
}

/** Of the project's server; without one, what nodes have left in Redis. */
export const askCacheStats = async (project: Project): Promise<operations.StatsReport> =>
  (await askServer<operations.StatsReport>(project, '/cache')) ??
  straight(project, (input) => operations.cacheStats(project, input))

export const askCacheKey = async (project: Project, key: string): Promise<operations.KeyReport> =>
  (await askServer<operations.KeyReport>(project, `/cache/key?key=${encodeURIComponent(key)}`)) ??
  straight(project, (input) => operations.cacheGet(project, key, input))

export const askCacheEvict = async (project: Project, request: operations.EvictRequest): Promise<operations.EvictReport> =>
  (await askServer<operations.EvictReport>(project, '/cache/evict', request)) ??
  straight(project, (input) => operations.cacheEvict(project, request, input))

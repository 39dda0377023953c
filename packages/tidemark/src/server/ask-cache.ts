import { TidemarkError } from '../errors.js'
import { openRedis } from './open-redis.js'
import * as operations from './operations/cache.js'
import { findServer } from './presence.js'
import type { Project } from './project.js'

const askTimeoutMs = 10_000

interface Refusal {
  readonly error?: { readonly message?: string; readonly fix?: string }
}

/** What the project's server answers; undefined where none runs, or it has no such path. Raises TM_SERVER_REFUSED. */
const askServer = async <T>(project: Project, path: string, body?: unknown): Promise<T | undefined> => {
  const server = await findServer(project.state)
  if (!server) return undefined
  const authorization = `Bearer ${await project.state.secret('admin-token')}`
  const response = await fetch(`${server.url}/admin/v1${path}`, {
    headers: { authorization, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(askTimeoutMs),
    ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
  }).catch(() => undefined)
  if (!response || response.status === 404) return undefined
  if (response.ok) return (await response.json()) as T
  const { error = {} } = (await response.json().catch(() => ({}))) as Refusal
  const reason = error.message ?? `it answered ${response.status}`
  throw new TidemarkError('TM_SERVER_REFUSED', { url: server.url, reason, fix: error.fix ?? 'See its log.' })
}

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

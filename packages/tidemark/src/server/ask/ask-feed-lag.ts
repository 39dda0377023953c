import { openRedis } from '../open-redis.js'
import { feedLag, type LagReport } from '../operations/feed.js'
import { findServer } from '../project/presence.js'
import type { Project } from '../project/project.js'

const askTimeoutMs = 5000

/** What the server says of itself; null where it does not answer. */
const askServer = async (project: Project): Promise<LagReport | null> => {
  const server = await findServer(project.state)
  if (!server) return null
  const token = await project.state.secret('admin-token')
  const response = await fetch(`${server.url}/admin/v1/feed/lag`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(askTimeoutMs),
  }).catch(() => undefined)
  return response?.ok ? ((await response.json()) as LagReport) : null
}

/** The lag as the project's server sees it; without one, as its Postgres and Redis show it. */
export const askFeedLag = async (project: Project): Promise<LagReport> => {
  const told = await askServer(project)
  if (told) return told
  const { config, state, log } = project
  const redis = await openRedis({ config, state, log })
  try {
    return await feedLag(project, { node: null, redis })
  } finally {
    await redis.stop()
  }
}

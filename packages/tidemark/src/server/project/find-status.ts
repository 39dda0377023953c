import { apiKeysOf } from '../../auth/keys/keyring.js'
import { reasonOf, TidemarkError } from '../../errors.js'
import { isAlive } from '../../state/state.js'
import { cacheNames } from '../caches/caches.js'
import { openRedis } from '../open-redis.js'
import type { ProjectStatus } from '../operations/status.js'
import { pusherStatus } from '../realtime/pusher-keys.js'
import { readVersion } from '../version.js'
import { adminTokensOf } from './admin-token.js'
import { findServer } from './presence.js'
import type { Project } from './project.js'

const askTimeoutMs = 5000

interface Refusal {
  readonly error?: { readonly code?: string; readonly message?: string; readonly fix?: string }
}

const askServer = async (url: string, token: string): Promise<ProjectStatus> => {
  const response = await fetch(`${url}/admin/v1/status?showKeys=true`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(askTimeoutMs),
  }).catch((error: unknown) => {
    throw new TidemarkError(
      'TM_SERVER_REFUSED',
      { url, reason: reasonOf(error), fix: 'See its log; end it and start it again.' },
      { cause: error },
    )
  })
  if (response.ok) return (await response.json()) as ProjectStatus
  const { error = {} } = (await response.json().catch(() => ({}))) as Refusal
  throw new TidemarkError('TM_SERVER_REFUSED', {
    url,
    reason: error.message ?? `it answered ${response.status}`,
    fix: error.fix ?? 'See its log.',
  })
}

const isRunning = async (project: Project, child: 'postgres' | 'redis'): Promise<boolean> => {
  const record = await project.state.child(child).read()
  return record !== undefined && (await isAlive(record))
}

const redisPart = async (project: Project): Promise<ProjectStatus['redis']> => {
  const { config, state, log } = project
  const configured = config.redis.url !== undefined || config.redis.restUrl !== undefined
  if (!configured && !(await isRunning(project, 'redis'))) return { state: 'absent', driver: 'none', embedded: false, target: '' }
  const opened = await openRedis({ config, state, log })
  try {
    const { state: redisState, driver, target } = opened.redis
    return { state: redisState, driver, target, embedded: opened.source === 'embedded' }
  } finally {
    await opened.stop()
  }
}

/** Only embedded parts run, held by a command that is no server: attach to them, and tell. */
const embeddedStatus = (project: Project): Promise<ProjectStatus> =>
  project.withDatabase(undefined, async ({ embedded, url }) => {
    const { config, state } = project
    const [token] = await adminTokensOf(config, state)
    return {
      url: null,
      version: readVersion(),
      server: null,
      database: { state: 'connected', embedded: true, version: embedded?.version ?? null, url },
      redis: await redisPart(project),
      caches: cacheNames(config),
      keys: await apiKeysOf(config, state),
      pusher: await pusherStatus(config, state),
      admin: { url: null, token },
    }
  })

/**
 * What runs in a project, secrets included: asked of its server, or of its embedded Postgres where only that runs.
 * Starts nothing. Raises TM_SERVER_NOT_RUNNING and TM_SERVER_REFUSED.
 */
export const findStatus = async (project: Project): Promise<ProjectStatus> => {
  const { config, state } = project
  const server = await findServer(state)
  // The project's own token, which a server takes whatever else it was started with.
  if (server) return askServer(server.url, await state.secret('admin-token'))
  if (config.postgres.url === undefined && (await isRunning(project, 'postgres'))) return embeddedStatus(project)
  throw new TidemarkError('TM_SERVER_NOT_RUNNING', { path: project.cwd })
}

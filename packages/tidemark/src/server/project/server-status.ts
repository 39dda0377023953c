import { apiKeysOf } from '../../auth/keys/keyring.js'
import type { TidemarkConfig } from '../../config/config.js'
import type { HealthReport } from '../../observability/observability.js'
import type { State } from '../../state/state.js'
import { cacheNames } from '../caches/caches.js'
import type { ProjectStatus } from '../operations/status.js'
import { pusherStatus } from '../realtime/pusher-keys.js'
import type { Runtime } from '../runtime.js'
import { readVersion } from '../version.js'
import { adminTokensOf } from './admin-token.js'

export interface StatusInput {
  readonly config: TidemarkConfig
  readonly state: State
  readonly runtime: Runtime
  readonly health: HealthReport
  readonly url: string
  readonly startedAtMs: number
}

/** The status of a running server, secrets included. */
export const statusOf = async ({ config, state, runtime, health, url, startedAtMs }: StatusInput): Promise<ProjectStatus> => {
  const { database, redis } = runtime
  const [token] = await adminTokensOf(config, state)
  return {
    url,
    version: readVersion(),
    server: {
      pid: process.pid,
      phase: health.phase,
      environment: config.environment,
      roles: config.server.roles,
      startedAt: new Date(startedAtMs).toISOString(),
      uptimeSeconds: Math.round((Date.now() - startedAtMs) / 1000),
    },
    database: {
      state: health.database,
      embedded: database.embedded !== undefined,
      version: runtime.postgresVersion,
      url: database.url,
    },
    redis: {
      state: redis.redis.state,
      driver: redis.redis.driver,
      embedded: redis.source === 'embedded',
      target: redis.redis.target,
    },
    caches: cacheNames(config),
    keys: await apiKeysOf(config, state),
    pusher: await pusherStatus(config, state),
    admin: { url: `${url}/admin/v1`, token },
  }
}

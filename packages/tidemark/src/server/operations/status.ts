import type { ApiKeys } from '../../auth/keys/sign-api-key.js'
import type { RedisDriver, RedisState } from '../../redis/redis.js'
import { maskSecrets } from '../../secrets.js'
import type { CacheName } from '../caches/caches.js'

/** What runs in a project. Holds secrets unless {@link hideSecrets} took them out. */
export interface ProjectStatus {
  /** Of the server; null where only the embedded parts run. */
  readonly url: string | null
  readonly version: string
  readonly server: {
    readonly pid: number
    readonly phase: string
    readonly environment: string
    readonly roles: readonly string[]
    readonly startedAt: string
    readonly uptimeSeconds: number
  } | null
  readonly database: {
    readonly state: 'connected' | 'disconnected'
    readonly embedded: boolean
    readonly version: string | null
    /** With its password. */
    readonly url: string
  }
  readonly redis: {
    readonly state: RedisState
    readonly driver: RedisDriver
    readonly embedded: boolean
    readonly target: string
  }
  /** What is cached, by the names in the configuration. */
  readonly caches: readonly CacheName[]
  readonly keys: ApiKeys
  /** What clients and server libraries of Pusher are configured with; null where it is turned off. */
  readonly pusher: { readonly appId: string; readonly key: string; readonly secret: string } | null
  readonly admin: { readonly url: string | null; readonly token: string }
}

export const hidden = '***'

/** The status as it may be shown to anyone who looks over a shoulder: the anon key is made to be public, the rest is not. */
export const hideSecrets = (status: ProjectStatus): ProjectStatus => ({
  ...status,
  database: { ...status.database, url: maskSecrets(status.database.url) },
  keys: { anon: status.keys.anon, service: hidden },
  pusher: status.pusher && { ...status.pusher, secret: hidden },
  admin: { ...status.admin, token: hidden },
})

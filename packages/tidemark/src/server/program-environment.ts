import { openKeyring } from '../auth/keys/keyring.js'
import type { TidemarkConfig } from '../config/config.js'
import type { State } from '../state/state.js'
import { pusherStatus } from './realtime/pusher-keys.js'
import type { Runtime } from './runtime.js'

export interface ProgramEnvironmentInput {
  readonly config: TidemarkConfig
  readonly state: State
  readonly runtime: Runtime
  readonly url: string
}

/** Where applications send what this server tells clients of Pusher. */
const pusherUrl = async (config: TidemarkConfig, state: State, url: string): Promise<string | undefined> => {
  const app = await pusherStatus(config, state)
  if (!app) return undefined
  const address = new URL(`/apps/${app.appId}`, url)
  return Object.assign(address, { username: encodeURIComponent(app.key), password: encodeURIComponent(app.secret) }).href
}

/** Variables by which a program on this machine finds what the server uses, under the names that applications and `supabase-js` read. Holds secrets. */
export const programEnvironment = async ({
  config,
  state,
  runtime,
  url,
}: ProgramEnvironmentInput): Promise<Readonly<Record<string, string>>> => {
  const { database, redis } = runtime
  const { secrets, apiKeys } = await openKeyring(config, state).current()
  const pusher = await pusherUrl(config, state, url)
  return {
    DATABASE_URL: database.urls.app,
    OWNER_DATABASE_URL: database.urls.migrator,
    FEED_DATABASE_URL: database.urls.feed,
    CALLERS_DATABASE_URL: database.urls.authenticator,
    ...(redis.url !== undefined && { REDIS_URL: redis.url }),
    JWT_SECRET: secrets[0],
    SUPABASE_JWT_SECRET: secrets[0],
    SUPABASE_URL: url,
    SUPABASE_ANON_KEY: apiKeys.anon,
    SUPABASE_SERVICE_ROLE_KEY: apiKeys.service,
    ...(pusher !== undefined && { PUSHER_URL: pusher }),
  }
}

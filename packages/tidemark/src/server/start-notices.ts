import { isCloud } from '../auth/open-callers.js'
import { isDevelopment } from '../auth/settings.js'
import { configNotices, type TidemarkConfig } from '../config/config.js'
import type { Presence } from './project/presence.js'
import type { Runtime } from './runtime.js'

const portNotice = ({ server }: TidemarkConfig, url: string): readonly string[] => {
  const port = Number(new URL(url).port)
  return server.port === 0 || server.port === port ? [] : [`Port ${server.port} is taken; listening on ${port}.`]
}

const authNotices = ({ database }: Runtime, config: TidemarkConfig): readonly string[] => {
  const { auth } = config
  if (!auth.enabled || isCloud(config)) return []
  if (!database.bootstrap.ownsAuth) return ['The schema auth of this Postgres belongs to another system; /auth/v1 is not served.']
  const needsSender = !(auth.autoconfirm ?? database.embedded !== undefined)
  return needsSender && auth.sendCode === undefined && !isDevelopment(config)
    ? ['Nobody can sign up: addresses have to be confirmed, and auth.sendCode is not set. Set it, or auth.autoconfirm.']
    : []
}

/** What a person should know about how the server came up, one line each. */
export const noticesOf = (
  runtime: Runtime,
  config: TidemarkConfig,
  url: string,
  other: Presence | undefined,
): readonly string[] => {
  const skipped = runtime.database.bootstrap.skipped.map(
    ({ what, consequence }) => `Postgres did not allow ${what}: ${consequence}.`,
  )
  return [
    ...(other ? [`Another server of this project runs at ${other.url} (pid ${other.pid}).`] : []),
    ...portNotice(config, url),
    ...(runtime.redis.redis.state === 'up' ? [] : [runtime.redis.notice]),
    ...skipped,
    ...authNotices(runtime, config),
    ...configNotices(config, { maxConnections: runtime.maxConnections }),
  ]
}

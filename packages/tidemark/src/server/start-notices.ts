import { configNotices, type TidemarkConfig } from '../config/config.js'
import type { Presence } from './presence.js'
import type { Runtime } from './runtime.js'

const portNotice = ({ server }: TidemarkConfig, url: string): readonly string[] => {
  const port = Number(new URL(url).port)
  return server.port === 0 || server.port === port ? [] : [`Port ${server.port} is taken; listening on ${port}.`]
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
    ...configNotices(config, { maxConnections: runtime.maxConnections }),
  ]
}

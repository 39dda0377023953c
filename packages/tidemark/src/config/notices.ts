import type { PoolName, TidemarkConfig } from './options/options.js'
import { splitRedisUrls } from './redis-urls.js'

/** What the pools of one server may take together. */
export interface PoolDemand {
  /** `host:port`, or `embedded`. */
  readonly server: string
  readonly pools: readonly PoolName[]
  readonly connections: number
}

const serverOf = (url: string | undefined): string => {
  if (url === undefined) return 'embedded'
  const { hostname, port, searchParams } = new URL(url)
  return `${hostname || searchParams.get('host')}:${port || 5432}`
}

/** The most connections that the pools open, by server. The first is the primary's. */
export const poolDemand = ({ postgres, supabase, auth, rest, realtime }: TidemarkConfig): readonly PoolDemand[] => {
  const local = supabase.url === undefined || !supabase.enabled
  const urls: readonly (readonly [PoolName, string | undefined])[] = [
    ['primary', postgres.url],
    ['analytics', postgres.analyticsUrl ?? postgres.url],
    ['migration', postgres.migrationUrl ?? postgres.directUrl ?? postgres.url],
    ...(auth.enabled && local ? [['auth', postgres.url] as const] : []),
    ...(rest.enabled && local ? [['rest', postgres.url] as const] : []),
    ...(realtime.enabled && supabase.realtime && local ? [['realtime', postgres.url] as const] : []),
    ...(postgres.secondaryUrl === undefined ? [] : [['secondary', postgres.secondaryUrl] as const]),
  ]
  const demands = new Map<string, PoolDemand>()
  for (const [pool, url] of urls) {
    const server = serverOf(url)
    const { pools, connections } = demands.get(server) ?? { pools: [], connections: 0 }
    demands.set(server, { server, pools: [...pools, pool], connections: connections + postgres[pool].maxConnections })
  }
  return [...demands.values()]
}

/** Connections that Postgres keeps for superusers by default. */
const reservedConnections = 3

/**
 * What is not wrong and still worth a word at start, one sentence each: pools that together exceed a server's limit, a short
 * signing secret, Redis at Upstash without TLS. `maxConnections` is the limit of the primary's server where it is known.
 */
export const configNotices = (config: TidemarkConfig, known: { readonly maxConnections?: number } = {}): readonly string[] => {
  const notices: string[] = []
  const [primary] = poolDemand(config)
  if (primary && known.maxConnections !== undefined && primary.connections > known.maxConnections - reservedConnections) {
    notices.push(
      `The pools ${primary.pools.join(', ')} may open ${primary.connections} connections to ${primary.server}, which allows ${known.maxConnections} (${reservedConnections} of them reserved). Lower postgres.<pool>.maxConnections or raise max_connections.`,
    )
  }
  if (config.supabase.jwtSecret !== undefined && config.supabase.jwtSecret.length < 32) {
    notices.push('SUPABASE_JWT_SECRET is shorter than 32 characters and can be guessed from a token. Use a longer one.')
  }
  const redisUrls = splitRedisUrls(config.redis.url ?? '')
  if (redisUrls.some((url) => url.startsWith('redis:') && new URL(url).hostname.endsWith('.upstash.io'))) {
    notices.push('REDIS_URL points at Upstash without TLS. Use rediss:// instead of redis://.')
  }
  return notices
}

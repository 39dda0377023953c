import { splitRedisUrls } from '../../../config/redis-urls.js'
import { reasonOf, toTidemarkError } from '../../../errors.js'
import type { Redis, RedisCommand, RedisReply } from '../../../redis/redis.js'
import { isAlive } from '../../../state/state.js'
import type { Project } from '../../project/project.js'
import { away, type Finding, ok, warn } from './finding.js'

const absence = 'without Redis everything works from memory and Postgres, and several servers share no cache'

const configuredRedis = async ({ config: { redis } }: Project): Promise<Redis> => {
  const { createRedis } = await import('../../../redis/create-redis.js')
  return createRedis({
    name: 'tidemark-doctor',
    ...(redis.url !== undefined && { url: redis.url }),
    ...(redis.restUrl !== undefined && { restUrl: redis.restUrl }),
    ...(redis.restToken !== undefined && { restToken: redis.restToken }),
  })
}

const field = (info: string, name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]

/** The replies of all masters, or of the one server. */
const askEach = async (redis: Redis, command: RedisCommand): Promise<ReadonlyMap<string, RedisReply>> =>
  redis.cluster ? redis.cluster.onEach(command) : new Map([[redis.target, await redis.command(command)]])

/** Managed services often refuse CONFIG; then nothing is known, which is no fault. */
const setting = async (redis: Redis, name: string): Promise<ReadonlyMap<string, string>> => {
  const replies = await askEach(redis, ['CONFIG', 'GET', name]).catch((): ReadonlyMap<string, RedisReply> => new Map())
  const known = [...replies].flatMap(([server, reply]) =>
    Array.isArray(reply) && typeof reply[1] === 'string' ? [[server, reply[1]] as const] : [],
  )
  return new Map(known)
}

/** Which of the servers, where there are several. */
const at = (redis: Redis, servers: readonly string[]): string => (redis.cluster ? ` at ${servers.join(' and ')}` : '')

const checkPolicy = async (redis: Redis): Promise<readonly Finding[]> => {
  const evicting = [...(await setting(redis, 'maxmemory-policy'))].filter(([, policy]) => policy !== 'noeviction')
  if (evicting.length === 0) return []
  const servers = evicting.map(([server]) => server)
  return [
    warn(
      'redis eviction',
      `maxmemory-policy is ${evicting[0]![1]}${at(redis, servers)}`,
      'Set noeviction: streams must not be evicted, and Tidemark bounds its caches itself.',
    ),
  ]
}

const checkMemory = (redis: Redis, infos: ReadonlyMap<string, string>): readonly Finding[] => {
  const used = [...infos].map(([server, info]) => {
    return [server, Number(field(info, 'used_memory') ?? 0) / Number(field(info, 'maxmemory') ?? 0)] as const
  })
  const full = used.filter(([, share]) => Number.isFinite(share) && share > 0.8)
  if (full.length === 0) return []
  const most = Math.max(...full.map(([, share]) => share))
  return [
    warn(
      'redis memory',
      `${Math.round(most * 100)} % of maxmemory is used${at(
        redis,
        full.map(([server]) => server),
      )}`,
      'Raise maxmemory, or lower cache.redis.maxBytes and the length of streams: a full Redis takes no events.',
    ),
  ]
}

const checkDurability = async (redis: Redis): Promise<readonly Finding[]> => {
  const off = [...(await setting(redis, 'appendonly'))].filter(([, value]) => value === 'no').map(([server]) => server)
  if (off.length === 0) return []
  return [
    warn(
      'redis durability',
      `appendonly is off${at(redis, off)}`,
      'Turn it on where webhooks are stored in Redis; for caches alone it does not matter.',
    ),
  ]
}

/** That it is whole was seen when it was connected to. */
const checkCluster = (redis: Redis, infos: ReadonlyMap<string, string>): readonly Finding[] => {
  if (!redis.cluster) return []
  const alone = [...infos].filter(([, info]) => field(info, 'connected_slaves') === '0').map(([server]) => server)
  const shares = [...infos].map(([server, info]) => `${server} has ${/^db0:keys=(\d+)/m.exec(info)?.[1] ?? 0} keys`)
  const findings = [ok('redis cluster', `cluster_state is ok, with ${infos.size} masters: ${shares.join(', ')}`)]
  if (alone.length === 0) return findings
  return [
    ...findings,
    warn(
      'redis cluster replicas',
      `nobody takes over from the master${at(redis, alone)}`,
      'Give each master a replica: while one is away Tidemark goes on without all of the cluster.',
    ),
  ]
}

const inspect = async (redis: Redis): Promise<readonly Finding[]> => {
  const infos = new Map([...(await askEach(redis, ['INFO']))].map(([server, info]) => [server, String(info)]))
  const version = field([...infos.values()][0] ?? '', 'redis_version') ?? 'of unknown version'
  return [
    ok('redis', `Redis ${version} at ${redis.target}`),
    ...checkCluster(redis, infos),
    ...(await checkPolicy(redis)),
    ...checkMemory(redis, infos),
    ...(await checkDurability(redis)),
  ]
}

const checkTls = ({ config: { redis } }: Project): readonly Finding[] => {
  const url = redis.restUrl ?? redis.url
  if (url === undefined || /^(?:rediss|https):/.test(url)) return []
  const isNear = (host: string): boolean => ['localhost', '127.0.0.1', '[::1]'].includes(host)
  const host = splitRedisUrls(url)
    .map((each) => new URL(each).hostname)
    .find((each) => !isNear(each))
  if (host === undefined) return []
  return [
    warn(
      'redis tls',
      `the connection to ${host} is not encrypted`,
      'Use rediss:// (services: copy the address with TLS), unless the network between them is your own.',
    ),
  ]
}

const checkConfigured = async (project: Project): Promise<readonly Finding[]> => {
  const redis = await configuredRedis(project)
  try {
    if (redis.state !== 'up' && redis.cluster) {
      const why = reasonOf(await redis.ping().catch((error: unknown) => error))
      return [away('redis cluster', why, `See CLUSTER INFO and CLUSTER NODES at its nodes; ${absence}.`)]
    }
    if (redis.state !== 'up')
      return [away('redis', `Redis at ${redis.target} does not answer`, `Start it, or correct REDIS_URL; ${absence}.`)]
    return [...checkTls(project), ...(await inspect(redis))]
  } finally {
    await redis.stop()
  }
}

/** Redis is never required: that there is none is a warning, that a configured one is away a failure. */
export const checkRedis = async (project: Project): Promise<readonly Finding[]> => {
  const { redis } = project.config
  try {
    if (redis.url !== undefined || redis.restUrl !== undefined) return await checkConfigured(project)
    const record = await project.state.child('redis').read()
    if (record && (await isAlive(record))) return [ok('redis', `embedded Redis runs on port ${record.port}`)]
    const { findRedisServer } = await import('../../../redis/embedded/find-server.js')
    const program = await findRedisServer()
    if (program === undefined) {
      return [
        warn(
          'redis',
          'no redis-server or valkey-server is on PATH',
          `Install one (Debian: apt-get install redis-server), or set REDIS_URL; ${absence}.`,
        ),
      ]
    }
    return [ok('redis', `${program} starts with the server`)]
  } catch (error) {
    return [away('redis', reasonOf(error), toTidemarkError(error).fix)]
  }
}

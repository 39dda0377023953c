import { reasonOf, toTidemarkError } from '../../errors.js'
import type { Redis, RedisReply } from '../../redis/redis.js'
import { isAlive } from '../../state/state.js'
import type { Project } from '../project/project.js'
import { away, type Finding, ok, warn } from './finding.js'

const absence = 'without Redis everything works from memory and Postgres, and several servers share no cache'

const configuredRedis = async ({ config: { redis } }: Project): Promise<Redis> => {
  const { createRedis } = await import('../../redis/create-redis.js')
  return createRedis({
    name: 'tidemark-doctor',
    ...(redis.url !== undefined && { url: redis.url }),
    ...(redis.restUrl !== undefined && { restUrl: redis.restUrl }),
    ...(redis.restToken !== undefined && { restToken: redis.restToken }),
  })
}

const field = (info: string, name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]

/** Managed services often refuse CONFIG; then nothing is known, which is no fault. */
const setting = async (redis: Redis, name: string): Promise<string | undefined> => {
  const reply = await redis.command(['CONFIG', 'GET', name]).catch((): RedisReply => null)
  return Array.isArray(reply) && typeof reply[1] === 'string' ? reply[1] : undefined
}

const inspect = async (redis: Redis): Promise<readonly Finding[]> => {
  const info = String(await redis.command(['INFO']))
  const findings = [ok('redis', `Redis ${field(info, 'redis_version') ?? 'of unknown version'} at ${redis.target}`)]
  const [policy, appendOnly] = [await setting(redis, 'maxmemory-policy'), await setting(redis, 'appendonly')]
  if (policy !== undefined && policy !== 'noeviction') {
    findings.push(
      warn(
        'redis eviction',
        `maxmemory-policy is ${policy}`,
        'Set noeviction: streams must not be evicted, and Tidemark bounds its caches itself.',
      ),
    )
  }
  const full = Number(field(info, 'used_memory') ?? 0) / Number(field(info, 'maxmemory') ?? 0)
  if (Number.isFinite(full) && full > 0.8) {
    findings.push(
      warn(
        'redis memory',
        `${Math.round(full * 100)} % of maxmemory is used`,
        'Raise maxmemory, or lower cache.redis.maxBytes and the length of streams: a full Redis takes no events.',
      ),
    )
  }
  if (appendOnly === 'no') {
    findings.push(
      warn(
        'redis durability',
        'appendonly is off',
        'Turn it on where webhooks are stored in Redis; for caches alone it does not matter.',
      ),
    )
  }
  return findings
}

const checkTls = ({ config: { redis } }: Project): readonly Finding[] => {
  const url = redis.restUrl ?? redis.url
  if (url === undefined || /^(?:rediss|https):/.test(url)) return []
  const host = new URL(url).hostname
  if (['localhost', '127.0.0.1', '[::1]'].includes(host)) return []
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
    const { findRedisServer } = await import('../../redis/embedded/find-server.js')
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

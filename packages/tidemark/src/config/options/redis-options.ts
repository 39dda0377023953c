import { boolean, durationMs, httpUrl, redisUrl, text } from './kinds.js'
import { option } from './option.js'

export const redisOptions = {
  'redis.url': option(redisUrl, {
    help: 'Redis over TCP. Upstash needs rediss:// here. Of a Redis Cluster, some of its nodes, separated by commas.',
    env: ['REDIS_URL'],
    flag: 'redis-url',
    secret: true,
    defaultText: 'a private redis-server where one is installed',
    systems: ['REanna Router'],
  }),
  'redis.restUrl': option(httpUrl, {
    help: 'Upstash over REST, where TCP is not possible. It cannot block or subscribe.',
    env: ['UPSTASH_REDIS_REST_URL'],
    secret: true,
    systems: ['REanna Router'],
  }),
  'redis.restToken': option(text({ expected: 'the token that Upstash shows beside the REST URL' }), {
    help: 'Token of the REST URL.',
    env: ['UPSTASH_REDIS_REST_TOKEN'],
    secret: true,
    systems: ['REanna Router'],
  }),
  'redis.embedded': option(boolean, {
    help: 'Start a private redis-server or valkey-server where no URL is given and one is on PATH.',
    env: ['TIDEMARK_REDIS_EMBEDDED'],
    flag: 'embedded-redis',
    default: true,
  }),
  'redis.commandTimeoutMs': option(durationMs(1, 600_000), {
    help: 'A command without an answer for this long counts as failed.',
    default: 1000,
  }),
} as const

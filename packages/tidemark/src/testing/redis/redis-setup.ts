import { findRedisServer } from '../../redis/embedded/find-server.js'
import { startTestRedis } from './redis-server.js'

/** Set by the run's global setup: the server that the tests share. Not set where there is none. */
const redisUrlVariable = 'TIDEMARK_TEST_SHARED_REDIS_URL'

/**
 * vitest's `globalSetup` of the tests that need Redis: one throw-away server for the run, or the one that
 * TIDEMARK_TEST_REDIS_URL names. Without either those tests skip themselves; the reason is printed here, once.
 */
export const setup = async (): Promise<() => Promise<void>> => {
  const given = process.env['TIDEMARK_TEST_REDIS_URL']
  if (given) {
    process.env[redisUrlVariable] = given
    return async () => {}
  }
  if ((await findRedisServer()) === undefined) {
    process.stderr.write(
      'The tests that need Redis are skipped: neither redis-server nor valkey-server is on PATH ' +
        '(on Debian: apt-get install redis-server), and TIDEMARK_TEST_REDIS_URL is not set.\n',
    )
    return async () => {}
  }
  const server = await startTestRedis()
  process.env[redisUrlVariable] = server.url
  return server.stop
}

/** The shared server's URL; undefined where the tests that need one have to skip themselves. */
export const sharedRedisUrl = (): string | undefined => process.env[redisUrlVariable]

/** A Redis that a test file takes before its tests and gives back after them. */
import { afterAll, beforeAll } from 'vitest'
import { startTestRedis, type TestRedis, type TestRedisOptions } from './redis-server.js'

/** A server of this file, or of the `describe` that it is called in. It has an address once the tests run. */
export const useRedis = (options?: TestRedisOptions): Omit<TestRedis, 'stop'> => {
  let server: TestRedis | undefined
  beforeAll(async () => {
    server = await startTestRedis(options)
  })
  afterAll(() => server?.stop())
  return {
    get url() {
      return server!.url
    },
    get port() {
      return server!.port
    },
    signal: (name) => server!.signal(name),
  }
}

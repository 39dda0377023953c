import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../../errors.js'
import { silentLogger } from '../../observability/observability.js'
import type { Redis } from '../../redis/redis.js'
import { ModelClock } from '../testing/model-clock.js'
import { ModelPostgres } from '../testing/model-postgres.js'
import { Intents } from './intents.js'

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('linearizable writes', () => {
  it('hear acknowledgements also where Redis was away when the cache was opened', async () => {
    const clock = new ModelClock()
    let [asked, isAway] = [0, true]
    const heard: ((message: string, channel: string) => void)[] = []
    const redis: Pick<Redis, 'driver' | 'subscribe'> = {
      driver: 'tcp',
      subscribe: async (_channels, listener) => {
        asked++
        if (isAway) throw new TidemarkError('TM_REDIS_UNREACHABLE', { target: 'r', reason: 'away' })
        heard.push(listener)
        return async () => undefined
      },
    }
    const intents = new Intents({
      node: 'a',
      pool: new ModelPostgres(async () => undefined, clock).pool(),
      redis: redis as Redis,
      channel: 'heard',
      maxSilenceMs: 1000,
      clock,
      log: silentLogger,
      onHeld: () => undefined,
    })
    const starting = intents.start()
    for (let time = 0; time < 3; time++) {
      await settled()
      clock.skip()
    }
    await settled()
    expect([asked >= 3, heard.length]).toEqual([true, 0])
    isAway = false
    clock.skip()
    await starting
    expect(heard).toHaveLength(1)
    await intents.stop()
  })
})

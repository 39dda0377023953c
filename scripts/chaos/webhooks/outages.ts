/** What becomes of webhooks while Redis or Postgres is away: F3, F4 and F6. */
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../../packages/tidemark/dist/time/until.js'
import { tell } from '../tally.ts'
import { check, Given, one, type Scenario, untilOwned, waitForEffects } from './place.ts'

/** F3 F4: Redis is killed while events come, and comes back with what its log holds; later it loses everything. */
export const loseRedis: Scenario = async (place, asked, tally) => {
  const { redisServer, redis, store } = place
  const fleet = place.fleet(asked, 0.01)
  const given = new Given(store)
  fleet.start(2)
  await untilOwned(fleet)
  const part = Math.ceil(asked.events / 10)
  for (let round = 0; round < 10; round++) {
    await given.give(part, 200)
    if (round === 3) {
      await redisServer.kill()
      await given.give(part, 200)
      await redisServer.start()
      await until(() => redis.state === 'up', { timeoutMs: 30_000 })
    }
    if (round === 6) await redis.command(['FLUSHALL'])
  }
  const seconds = await waitForEffects(place, given.kept, 240, tally)
  await check(place, given, tally)
  await fleet.stop()
  tell(`lose-redis: ${given.kept} events, ${given.refused} refused, done after ${Math.round(seconds)} s`)
}

/** F6: Postgres takes no connection and ends all there are; nobody is blamed for it. */
export const losePostgres: Scenario = async (place, asked, tally) => {
  const fleet = place.fleet(asked, 0)
  const given = new Given(place.store)
  fleet.start(2)
  await untilOwned(fleet)
  await given.give(Math.ceil(asked.events / 2), 200)
  await place.admin.query('alter role tidemark_app nologin')
  const end = () => place.admin.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'tidemark_app'`)
  await end()
  const endsAt = performance.now() + asked.seconds * 1000
  while (performance.now() < endsAt) {
    await given.give(Math.max(1, Math.ceil(asked.events / 2 / asked.seconds)), 200)
    await end()
    await sleep(1000)
  }
  await place.admin.query('alter role tidemark_app login')
  const seconds = await waitForEffects(place, given.kept, 90, tally)
  await check(place, given, tally)
  const blamed = await one(place.admin, 'select count(*) from webhook_events where attempts > 1')
  if (blamed > 0) tally.fail(`${blamed} events were blamed for Postgres`)
  await fleet.stop()
  tell(`lose-postgres: ${given.kept} events, away for ${asked.seconds} s, done ${Math.round(seconds)} s later`)
}

/** Many events, and a long time: F13 and F22. */
import { setTimeout as sleep } from 'node:timers/promises'
import { partitionKeys } from '../../../packages/tidemark/dist/webhooks/webhooks.js'
import { tell } from '../tally.ts'
import { check, effectsOf, Given, partitions, type Scenario, untilOwned, waitForEffects } from './place.ts'

/** How long the handler of a slow entity takes. */
const slowMs = 20_000

/** F13: many events of many entities, of which one is slow, while workers are killed. */
export const order: Scenario = async (place, asked, tally) => {
  const fleet = place.fleet(asked, 0.005)
  const given = new Given(place.store)
  fleet.start(2)
  await untilOwned(fleet)
  await given.give(1, 1, { sleepMs: slowMs })
  const parts = 20
  for (let part = 0; part < parts; part++) {
    await given.give(Math.ceil(asked.events / parts), 1000)
    tell(`  ${given.kept} events given, ${await effectsOf(place.admin)} effects`)
    if (part % 6 !== 5) continue
    await untilOwned(fleet)
    await fleet.kill('owner')
    fleet.start(1)
  }
  const seconds = await waitForEffects(place, given.kept, 120 + asked.events / 100, tally)
  await check(place, given, tally)
  await fleet.stop()
  tell(`order: ${given.kept} events of 1000 entities, ${fleet.kills} kills, done ${Math.round(seconds)} s later`)
}

/** F22: a long time at 100 events a second. */
export const soak: Scenario = async (place, asked, tally) => {
  const fleet = place.fleet(asked, 0.005)
  const given = new Given(place.store)
  fleet.start(2)
  await untilOwned(fleet)
  const sizes: number[] = []
  const endsAt = performance.now() + asked.seconds * 1000
  while (performance.now() < endsAt) {
    await given.give(100, 500)
    await sleep(1000)
    if (sizes.length % 60 === 59) tell(`  ${given.kept} events given, ${await effectsOf(place.admin)} effects`)
    sizes.push(Math.max(...fleet.workers.map(({ told }) => told?.rss ?? 0)))
  }
  await waitForEffects(place, given.kept, 120, tally)
  await check(place, given, tally)
  const third = Math.floor(sizes.length / 3)
  const mean = (part: readonly number[]): number => part.reduce((sum, each) => sum + each, 0) / part.length
  const growth = mean(sizes.slice(-third)) / mean(sizes.slice(third, 2 * third))
  if (asked.seconds >= 600 && growth > 1.1) tally.fail(`workers grew by ${Math.round((growth - 1) * 100)} %`)
  for (let partition = 0; partition < partitions; partition++) {
    const { stream } = partitionKeys(partition, partitions)
    const consumers = (await place.redis.command(['XINFO', 'CONSUMERS', stream, 'tidemark'])) as readonly unknown[]
    if (consumers.length > 2) tally.fail(`${consumers.length} consumers of ${stream}`)
  }
  await fleet.stop()
  tell(`soak: ${given.kept} events in ${asked.seconds} s, memory × ${growth.toFixed(2)}`)
}

/** What becomes of webhooks whose workers end: F1, F2, F12 and F18. */
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../../packages/tidemark/dist/time/until.js'
import { tell } from '../tally.ts'
import { check, effectsOf, Given, one, partitions, type Scenario, takeOverMs, untilOwned, waitForEffects } from './place.ts'

const handBackMs = 5_000

/** F1: one worker is killed in the middle. */
export const killOne: Scenario = async (place, asked, tally) => {
  const fleet = place.fleet(asked, 0.02)
  const given = new Given(place.store)
  fleet.start(2)
  await untilOwned(fleet)
  await given.give(asked.events, 200)
  await until(async () => (await effectsOf(place.admin)) > asked.events / 10, { timeoutMs: 60_000 })
  await fleet.kill('owner')
  const killedAt = performance.now()
  await until(() => fleet.workers[0]?.told?.owned.length === partitions, { timeoutMs: 60_000, what: 'The take-over' })
  const tookMs = Math.round(performance.now() - killedAt)
  // What a process tells is up to half a second old.
  if (tookMs > takeOverMs + 1_000) tally.fail(`the take-over took ${tookMs} ms`)
  const seconds = await waitForEffects(place, given.kept, 300, tally)
  await check(place, given, tally)
  const stopMs = await fleet.stop()
  tell(
    `kill-one: ${given.kept} events, taken over after ${tookMs} ms, done ${Math.round(seconds)} s later, stopped in ${Math.round(stopMs)} ms`,
  )
}

/** F2: all workers are killed again and again under load. */
export const killAll: Scenario = async (place, asked, tally) => {
  const fleet = place.fleet(asked, 0.01)
  const given = new Given(place.store)
  fleet.start(2)
  const perSecond = Math.min(500, Math.ceil(asked.events / asked.seconds))
  const endsAt = performance.now() + asked.seconds * 1000
  for (let second = 0; performance.now() < endsAt; second++) {
    await given.give(perSecond, 200)
    if (second % 2 === 1) {
      await fleet.kill('all')
      fleet.start(2)
    }
    if (second % 10 === 9) tell(`  ${given.kept} events given, ${await effectsOf(place.admin)} effects, ${fleet.kills} kills`)
    await sleep(1000)
  }
  await fleet.kill('all')
  fleet.start(2)
  const seconds = await waitForEffects(place, given.kept, 60 + takeOverMs / 1000, tally)
  await check(place, given, tally)
  await fleet.stop()
  tell(`kill-all: ${given.kept} events, ${fleet.kills} kills, drained ${Math.round(seconds)} s after the last one`)
}

/** F12: an event ends every worker that runs it. */
export const poison: Scenario = async (place, asked, tally) => {
  const fleet = place.fleet(asked, 0)
  const given = new Given(place.store)
  fleet.start(2)
  await untilOwned(fleet)
  await given.give(Math.min(asked.events, 200), 50)
  await given.give(1, 50, { poison: true })
  await given.give(Math.min(asked.events, 200), 50)
  let crashes = 0
  const over = async (): Promise<boolean> => {
    crashes += fleet.replaceEnded()
    return (await one(place.admin, `select count(*) from webhook_events where dead_reason = 'crash_loop'`)) === 1
  }
  await until(over, { timeoutMs: 180_000, intervalMs: 200 }).catch(() => tally.fail('the event that kills was not put aside'))
  crashes += fleet.replaceEnded()
  if (crashes > 3) tally.fail(`it took ${crashes} crashes`)
  await waitForEffects(place, given.kept - 1, 120, tally)
  await check(place, given, tally, { dead: 1 })
  await fleet.stop()
  tell(`poison: ${given.kept} events, put aside after ${crashes} crashes`)
}

/** F18: workers are replaced one after the other under load. */
export const rolling: Scenario = async (place, asked, tally) => {
  let fleet = place.fleet(asked, 0.01)
  const given = new Given(place.store)
  fleet.start(2)
  await untilOwned(fleet)
  let slowestMs = 0
  for (let round = 0; round < 3; round++) {
    await given.give(Math.ceil(asked.events / 3), 200)
    const next = place.fleet(asked, 0.01)
    next.start(2)
    slowestMs = Math.max(slowestMs, await fleet.stop())
    fleet = next
  }
  if (slowestMs > handBackMs) tally.fail(`a worker took ${Math.round(slowestMs)} ms to stop`)
  const seconds = await waitForEffects(place, given.kept, 240, tally)
  await check(place, given, tally)
  if ((await one(place.admin, 'select count(*) from webhook_events where claims > 0')) > 0)
    tally.fail('hand-overs count as crashes')
  await fleet.stop()
  tell(`rolling: ${given.kept} events, the slowest stop took ${Math.round(slowestMs)} ms, done ${Math.round(seconds)} s later`)
}

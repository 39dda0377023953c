/** Dead letters that are sent through again while others come: F17 and T10. */
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { until } from '../../../packages/tidemark/dist/time/until.js'
import { createReplays } from '../../../packages/tidemark/dist/webhooks/replay/replays.js'
import { tell } from '../tally.ts'
import { check, Given, one, type Scenario, untilOwned, waitForEffects } from './place.ts'

/** A replay of 10,000 (T10), and what live events may take meanwhile, whatever they took before (T5). */
const replayLimitMs = 120_000
const liveLimitMs = 50
/** Without a replay, to compare with. */
const liveSeconds = 10

/** From being received to the effect, 99 of 100, of live events whose effect came within a span of wall time. */
const liveP99Ms = (db: pg.Client, fromMs: number, toMs: number): Promise<number> =>
  one(
    db,
    `select coalesce(percentile_cont(0.99) within group (order by extract(epoch from effect.at - event.received_at) * 1000), 0)
       from chaos_effects effect join webhook_events event on event.id = effect.event
      where effect.entity like 'live%' and effect.at between to_timestamp(${fromMs / 1000}) and to_timestamp(${toMs / 1000})`,
  )

/** F17, T10: dead letters are sent through again, by an operator who clicks twice, while others come. */
export const replay: Scenario = async (place, asked, tally) => {
  const { admin, pool, store } = place
  const fleet = place.fleet(asked, 0)
  const [dead, live] = [new Given(store), new Given(store, 'live')]
  fleet.start(2)
  await untilOwned(fleet)
  await dead.give(asked.events, 200, { refused: true })
  const deadLetters = async (): Promise<number> => one(admin, `select count(*) from webhook_events where status = 'dead'`)
  await until(async () => (await deadLetters()) === dead.kept, { timeoutMs: 300_000, intervalMs: 250, what: 'Dead letters' })
  const second = async (): Promise<void> => {
    for (let tenth = 0; tenth < 10; tenth++) {
      await live.give(10, 50)
      await sleep(100)
    }
  }
  const calmAtMs = Date.now()
  for (let n = 0; n < liveSeconds; n++) await second()
  const calmMs = await liveP99Ms(admin, calmAtMs, Date.now())
  const replays = createReplays(pool)
  const startedAtMs = Date.now()
  const [first, again] = [await replays.start({}, 'chaos'), await replays.start({}, 'chaos')]
  if (first.selected !== dead.kept) tally.fail(`${first.selected} of ${dead.kept} dead letters were selected`)
  if (again.id !== first.id || !again.again) tally.fail('a second click began something')
  for (let n = 1; Date.now() - startedAtMs < 2 * replayLimitMs; n++) {
    const now = await replays.get(first.id)
    if (now?.status !== 'running') break
    if (n % 10 === 0) tell(`  ${now.sent} of ${first.selected} sent`)
    await second()
  }
  const tookMs = Date.now() - startedAtMs
  if (tookMs > replayLimitMs) tally.fail(`the replay took ${Math.round(tookMs / 1000)} s`)
  const busyMs = await liveP99Ms(admin, startedAtMs, Date.now())
  if (busyMs > Math.max(liveLimitMs, 1.5 * calmMs))
    tally.fail(`events that came meanwhile took ${Math.round(busyMs)} ms instead of ${Math.round(calmMs)} ms`)
  await waitForEffects(place, dead.kept + live.kept, 120, tally)
  await check(place, { kept: dead.kept + live.kept }, tally)
  const audit = (await replays.list()).filter(({ actor }) => actor === 'chaos')
  if (audit.length !== 1 || audit[0]?.sent !== dead.kept) tally.fail(`the audit of replays says ${JSON.stringify(audit)}`)
  await fleet.stop()
  tell(
    `replay: ${dead.kept} dead letters in ${Math.round(tookMs / 1000)} s; others took ${Math.round(calmMs)} ms before, ${Math.round(busyMs)} ms meanwhile (99 of 100)`,
  )
}

/**
 * Webhooks while workers, Redis and Postgres are killed: `npm run chaos:webhooks`. Events are stored as the intake stores them; what was
 * kept has to have its effect once, and in the order of its entity. All effects are counted in Postgres. The exit status is 0 only if
 * all was well.
 */
import { count, interruptible, main, parseOptions, UsageError } from '../options.ts'
import { Tally, tell } from './tally.ts'
import { killAll, killOne, poison, rolling } from './webhooks/kills.ts'
import { order, soak } from './webhooks/long.ts'
import { losePostgres, loseRedis } from './webhooks/outages.ts'
import { type Asked, openPlace, type Scenario } from './webhooks/place.ts'
import { replay } from './webhooks/replay.ts'

const scenarios = {
  'kill-one': killOne,
  'kill-all': killAll,
  'lose-redis': loseRedis,
  'lose-postgres': losePostgres,
  poison,
  rolling,
  order,
  replay,
  soak,
} as const satisfies Readonly<Record<string, Scenario>>

type Name = keyof typeof scenarios

const runOne = async (name: Name, asked: Asked, tally: Tally, signal: AbortSignal): Promise<void> => {
  tell(`${name} begins`)
  const place = await openPlace(asked)
  try {
    await interruptible(signal, scenarios[name](place, asked, tally))
  } catch (error) {
    tally.fail(`${name}: ${String((error as Error).stack ?? error)}`)
  } finally {
    await place.stop()
  }
}

const runAll = async (names: readonly Name[], asked: Asked, signal: AbortSignal): Promise<boolean> => {
  const tally = new Tally()
  const began = performance.now()
  for (const name of names) if (!signal.aborted) await runOne(name, asked, tally, signal)
  for (const failure of tally.failures) console.log(failure)
  const seconds = Math.round((performance.now() - began) / 1000)
  const passed = tally.failures.length === 0 && !signal.aborted
  console.log(`${passed ? 'PASSED' : 'FAILED'}: ${names.join(', ')} in ${seconds} s, seed ${asked.seed}`)
  return passed
}

const isScenario = (name: string): name is Name => Object.hasOwn(scenarios, name)

const namesOf = (text: unknown): readonly Name[] => {
  if (text === undefined) return (Object.keys(scenarios) as Name[]).filter((name) => name !== 'soak')
  const names = String(text).split(',')
  const unknown = names.find((name) => !isScenario(name))
  if (unknown !== undefined) throw new UsageError(`"${unknown}" is none of ${Object.keys(scenarios).join(', ')}.`)
  return names.filter(isScenario)
}

const usage = `npm run chaos:webhooks -- [options]
  --scenarios <names>  ${Object.keys(scenarios).join(',')} (default: all but soak)
  --events <n>         of each (default 10000; give "order" 100000)
  --seconds <n>        how long workers are killed, Postgres is away, or the soak lasts (default 60)
  --redis <url>        a Redis that is there and empty, such as a cluster, for scenarios that do not kill it (default: one of its own)
  --seed <n>           what the dice begin with (default 1)`

await main((signal) => {
  const option = { type: 'string' } as const
  const values = parseOptions(usage, { scenarios: option, events: option, seconds: option, seed: option, redis: option })
  const asked = {
    events: count('events', values['events'], { default: 10_000, min: 10, max: 1e7 }),
    seconds: count('seconds', values['seconds'], { default: 60, min: 1, max: 1e6 }),
    seed: count('seed', values['seed'], { default: 1, min: 0, max: 2 ** 31 }),
    redisUrl: values['redis'] as string | undefined,
  }
  return runAll(namesOf(values['scenarios']), asked, signal)
})

/**
 * Webhooks while workers, Redis and Postgres are killed: `npm run chaos:webhooks`. Events are stored as the intake stores them; what was
 * kept has to have its effect once, and in the order of its entity. All effects are counted in Postgres. The exit status is 0 only if
 * all was well.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { silentLogger } from '../../packages/tidemark/dist/observability/observability.js'
import { startEmbeddedPostgres } from '../../packages/tidemark/dist/postgres/embedded/embedded.js'
import { outsideDir } from '../../packages/tidemark/dist/postgres/embedded/place.js'
import { createNamedPool, type Pool } from '../../packages/tidemark/dist/postgres/postgres.js'
import { createRedis } from '../../packages/tidemark/dist/redis/create-redis.js'
import type { Redis } from '../../packages/tidemark/dist/redis/redis.js'
import { bootstrappedTemplate, testUrl } from '../../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { openState } from '../../packages/tidemark/dist/state/state.js'
import { until } from '../../packages/tidemark/dist/time/until.js'
import { createEventStore, type EventStore } from '../../packages/tidemark/dist/webhooks/intake/event-store.js'
import { createReplays } from '../../packages/tidemark/dist/webhooks/replay/replays.js'
import { acceptedEvent } from '../../packages/tidemark/dist/webhooks/testing/give-events.js'
import { partitionKeys } from '../../packages/tidemark/dist/webhooks/webhooks.js'
import { count, parseOptions, toVerdict, UsageError } from '../options.ts'
import { type AofRedis, startAofRedis } from './aof-redis.ts'
import { Tally, tell } from './tally.ts'
import { Fleet } from './webhooks-fleet.ts'

const partitions = 4

/** How long a partition may be without a worker after its own was killed (F1). */
const takeOverMs = 15_000
const handBackMs = 5_000
/** How long the handler of a slow entity takes. */
const slowMs = 20_000
/** A replay of 10,000 (T10), and what live events may take meanwhile, whatever they took before (T5). */
const replayLimitMs = 120_000
const liveLimitMs = 50
/** Without a replay, to compare with. */
const liveSeconds = 10

interface Place {
  readonly folder: string
  readonly admin: pg.Client
  readonly pool: Pool
  readonly redisServer: AofRedis
  readonly redis: Redis
  readonly store: EventStore
  readonly postgresUrl: string
  readonly stop: () => Promise<void>
}

interface Asked {
  readonly events: number
  readonly seconds: number
  readonly seed: number
  /** Of a cluster that is there; undefined for a Redis of its own. */
  readonly redisUrl: string | undefined
}

/** What the intake was given and kept. */
class Given {
  readonly #store: EventStore
  readonly #prefix: string
  readonly #next = new Map<string, number>()
  kept = 0
  refused = 0

  constructor(store: EventStore, prefix = 'e') {
    this.#store = store
    this.#prefix = prefix
  }

  async give(amount: number, entities: number, more: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const events = Array.from({ length: amount }, (_each, at) => {
      const number = (this.kept + at) % entities
      const entity = `${this.#prefix}${number}`
      const n = this.#next.get(entity) ?? 0
      this.#next.set(entity, n + 1)
      return acceptedEvent({ entity, n, partition: number % partitions, data: more })
    })
    const kept = await this.#store.keep(events)
    this.refused += kept.filter((each) => each === 'nowhere').length
    this.kept += kept.filter((each) => each !== 'nowhere').length
  }
}

const one = async (db: pg.Client, sql: string): Promise<number> => Number((await db.query(`select (${sql}) as n`)).rows[0].n)

const effectsOf = (db: pg.Client) => one(db, 'select count(*) from chaos_effects')

/** Where events are that had no effect, for whoever looks for the reason. */
const tellStanding = async ({ admin, redis }: Place): Promise<void> => {
  const { rows } = await admin.query(
    `select status, queued, partition, next_attempt_at is not null as parked, count(*)::int as n, min(left(error, 200)) as error
       from webhook_events group by 1, 2, 3, 4 order by 1, 2, 3, 4`,
  )
  const owners = (await admin.query('select * from tidemark.webhook_partitions order by partition')).rows
  const streams = await Promise.all(
    Array.from({ length: partitions }, async (_each, partition) => {
      const { stream } = partitionKeys(partition, partitions)
      return [await redis.command(['XLEN', stream]), await redis.command(['XPENDING', stream, 'tidemark']).catch(String)]
    }),
  )
  console.log(JSON.stringify({ rows, owners, streams }, null, 1))
}

const waitForEffects = async (place: Place, total: number, seconds: number, tally: Tally): Promise<number> => {
  const startedAt = performance.now()
  const done = until(async () => (await effectsOf(place.admin)) >= total, { timeoutMs: seconds * 1000, intervalMs: 250 })
  await done.catch(async () => {
    tally.fail(`after ${seconds} s ${total - (await effectsOf(place.admin))} events have had no effect`)
    await tellStanding(place)
  })
  return (performance.now() - startedAt) / 1000
}

/** Once each, in order, nothing dead, nothing left (T6). */
const check = async (
  { admin, redis }: Place,
  given: Pick<Given, 'kept'>,
  tally: Tally,
  wrong: { readonly dead?: number } = {},
): Promise<void> => {
  const dead = wrong.dead ?? 0
  const effects = await effectsOf(admin)
  if (effects !== given.kept - dead) tally.fail(`${given.kept} events were kept, ${effects} effects are there`)
  const twice = await one(
    admin,
    'select count(*) from (select event from chaos_effects group by event having count(*) > 1) as twice',
  )
  if (twice > 0) tally.fail(`${twice} events have had their effect more than once`)
  const disorder = await one(
    admin,
    `select count(*) from (select n, lag(n) over (partition by entity order by place) as before from chaos_effects) as pairs
      where n <= before`,
  )
  if (disorder > 0) tally.fail(`${disorder} effects are out of the order of their entity`)
  const found = await one(admin, `select count(*) from webhook_events where status = 'dead'`)
  if (found !== dead) tally.fail(`${found} dead letters, and ${dead} are right`)
  for (let partition = 0; partition < partitions; partition++) {
    const { stream } = partitionKeys(partition, partitions)
    const empty = async (): Promise<boolean> => {
      const pending = (await redis.command(['XPENDING', stream, 'tidemark'])) as readonly unknown[]
      return Number(pending[0]) === 0 && (await redis.command(['XLEN', stream])) === 0
    }
    await until(empty, { timeoutMs: 30_000 }).catch(() => tally.fail(`the stream ${stream} is not empty at the end`))
  }
}

const fleetOf = (place: Place, { seed }: Asked, failing: number): Fleet =>
  new Fleet({ postgres: testUrl(place.postgresUrl, 'app'), redis: place.redisServer.url, partitions, failing, seed })

const owned = (fleet: Fleet): number => fleet.workers.reduce((sum, { told }) => sum + (told?.owned.length ?? 0), 0)

const untilOwned = (fleet: Fleet) => until(() => owned(fleet) === partitions, { timeoutMs: 60_000, what: 'The share-out' })

/** F1: one worker is killed in the middle. */
const killOne = async (place: Place, asked: Asked, tally: Tally): Promise<void> => {
  const fleet = fleetOf(place, asked, 0.02)
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
const killAll = async (place: Place, asked: Asked, tally: Tally): Promise<void> => {
  const fleet = fleetOf(place, asked, 0.01)
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
    await sleep(1000)
  }
  await fleet.kill('all')
  fleet.start(2)
  const seconds = await waitForEffects(place, given.kept, 60 + takeOverMs / 1000, tally)
  await check(place, given, tally)
  await fleet.stop()
  tell(`kill-all: ${given.kept} events, ${fleet.kills} kills, drained ${Math.round(seconds)} s after the last one`)
}

/** F3 F4: Redis is killed while events come, and comes back with what its log holds; later it loses everything. */
const loseRedis = async (place: Place, asked: Asked, tally: Tally): Promise<void> => {
  const { redisServer, redis, store } = place
  const fleet = fleetOf(place, asked, 0.01)
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
const losePostgres = async (place: Place, asked: Asked, tally: Tally): Promise<void> => {
  const fleet = fleetOf(place, asked, 0)
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

/** F12: an event ends every worker that runs it. */
const poison = async (place: Place, asked: Asked, tally: Tally): Promise<void> => {
  const fleet = fleetOf(place, asked, 0)
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
const rolling = async (place: Place, asked: Asked, tally: Tally): Promise<void> => {
  let fleet = fleetOf(place, asked, 0.01)
  const given = new Given(place.store)
  fleet.start(2)
  await untilOwned(fleet)
  let slowestMs = 0
  for (let round = 0; round < 3; round++) {
    await given.give(Math.ceil(asked.events / 3), 200)
    const next = fleetOf(place, asked, 0.01)
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

/** F13: many events of many entities, of which one is slow, while workers are killed. */
const order = async (place: Place, asked: Asked, tally: Tally): Promise<void> => {
  const fleet = fleetOf(place, asked, 0.005)
  const given = new Given(place.store)
  fleet.start(2)
  await untilOwned(fleet)
  await given.give(1, 1, { sleepMs: slowMs })
  const parts = 20
  for (let part = 0; part < parts; part++) {
    await given.give(Math.ceil(asked.events / parts), 1000)
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

/** From being received to the effect, 99 of 100, of live events whose effect came within a span of wall time. */
const liveP99Ms = (db: pg.Client, fromMs: number, toMs: number): Promise<number> =>
  one(
    db,
    `select coalesce(percentile_cont(0.99) within group (order by extract(epoch from effect.at - event.received_at) * 1000), 0)
       from chaos_effects effect join webhook_events event on event.id = effect.event
      where effect.entity like 'live%' and effect.at between to_timestamp(${fromMs / 1000}) and to_timestamp(${toMs / 1000})`,
  )

/** F17, T10: dead letters are sent through again, by an operator who clicks twice, while others come. */
const replay = async (place: Place, asked: Asked, tally: Tally): Promise<void> => {
  const { admin, pool, store } = place
  const fleet = fleetOf(place, asked, 0)
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
  while ((await replays.get(first.id))?.status === 'running' && Date.now() - startedAtMs < 2 * replayLimitMs) await second()
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

/** F22: a long time at 100 events a second. */
const soak = async (place: Place, asked: Asked, tally: Tally): Promise<void> => {
  const fleet = fleetOf(place, asked, 0.005)
  const given = new Given(place.store)
  fleet.start(2)
  await untilOwned(fleet)
  const sizes: number[] = []
  const endsAt = performance.now() + asked.seconds * 1000
  while (performance.now() < endsAt) {
    await given.give(100, 500)
    await sleep(1000)
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
} as const

type Scenario = keyof typeof scenarios

/** One that is not this program's to kill. */
const foreignRedis = (url: string): AofRedis => {
  const refuse = async (): Promise<never> => {
    throw new Error('the Redis that --redis names is not killed')
  }
  return { url, kill: refuse, start: refuse, stop: async () => {} }
}

const openPlace = async ({ redisUrl }: Asked): Promise<Place> => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-chaos-webhooks-'))
  await chmod(folder, 0o755)
  const postgres = await startEmbeddedPostgres({ state: await openState(folder), disposable: true })
  await bootstrappedTemplate.prepare(postgres.url)
  const admin = new pg.Client({ connectionString: postgres.url })
  await admin.connect()
  await admin.query(`create table chaos_effects (place bigint generated always as identity primary key, event uuid not null,
      entity text not null, n int not null, worker int not null, at timestamptz not null default clock_timestamp());
    grant all on chaos_effects to tidemark_app`)
  const redisServer = redisUrl === undefined ? await startAofRedis() : foreignRedis(redisUrl)
  const redis = await createRedis({ url: redisServer.url, retryMaxMs: 500 })
  const pool = createNamedPool('primary', { url: testUrl(postgres.url, 'app') })
  const store = createEventStore({
    pool,
    redis,
    partitions,
    durability: 'postgres',
    dedupeTtlMs: 3_600_000,
    timeoutMs: 5_000,
    log: silentLogger,
    signals: undefined,
  })
  await store.start()
  const stop = async (): Promise<void> => {
    await store.stop()
    await pool.stop()
    await redis.stop()
    await admin.end()
    await redisServer.stop()
    await postgres.stop()
    for (const path of [folder, outsideDir(folder)]) await rm(path, { recursive: true, force: true, maxRetries: 5 })
  }
  return { folder, admin, pool, redisServer, redis, store, postgresUrl: postgres.url, stop }
}

const main = async (names: readonly Scenario[], asked: Asked): Promise<boolean> => {
  const tally = new Tally()
  const began = performance.now()
  for (const name of names) {
    const place = await openPlace(asked)
    try {
      await scenarios[name](place, asked, tally)
    } catch (error) {
      tally.fail(`${name}: ${String((error as Error).stack ?? error)}`)
    } finally {
      await place.stop()
    }
  }
  for (const failure of tally.failures) console.log(failure)
  const seconds = Math.round((performance.now() - began) / 1000)
  const passed = tally.failures.length === 0
  console.log(`${passed ? 'PASSED' : 'FAILED'}: ${names.join(', ')} in ${seconds} s, seed ${asked.seed}`)
  return passed
}

const isScenario = (name: string): name is Scenario => Object.hasOwn(scenarios, name)

const namesOf = (text: unknown): readonly Scenario[] => {
  if (text === undefined) return (Object.keys(scenarios) as Scenario[]).filter((name) => name !== 'soak')
  const names = String(text).split(',')
  const unknown = names.find((name) => !isScenario(name))
  if (unknown !== undefined) throw new UsageError(`"${unknown}" is none of ${Object.keys(scenarios).join(', ')}.`)
  return names.filter(isScenario)
}

const usage = `npm run chaos:webhooks -- [options]
  --scenarios <names>  ${Object.keys(scenarios).join(',')} (default: all but soak)
  --events <n>         of each (default 10000; 100000 for "order" alone)
  --seconds <n>        how long workers are killed, Postgres is away, or the soak lasts (default 60; a soak takes 7200)
  --redis <url>        a Redis that is there and empty, such as a cluster, for scenarios that do not kill it (default: one of its own)
  --seed <n>           what the dice begin with (default 1)`

await toVerdict(() => {
  const option = { type: 'string' } as const
  const values = parseOptions(usage, { scenarios: option, events: option, seconds: option, seed: option, redis: option })
  return main(namesOf(values['scenarios']), {
    events: count('events', values['events'], { default: 10_000, min: 10, max: 1e7 }),
    seconds: count('seconds', values['seconds'], { default: 60, min: 1, max: 1e6 }),
    seed: count('seed', values['seed'], { default: 1, min: 0, max: 2 ** 31 }),
    redisUrl: values['redis'] as string | undefined,
  })
})

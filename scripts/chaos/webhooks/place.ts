/** Where webhooks are put to the test: Postgres, a Redis that can be killed, what is given, and what has to be there at the end. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { silentLogger } from '../../../packages/tidemark/dist/observability/observability.js'
import { startEmbeddedPostgres } from '../../../packages/tidemark/dist/postgres/embedded/embedded.js'
import { outsideDir } from '../../../packages/tidemark/dist/postgres/embedded/place.js'
import { createNamedPool, type Pool } from '../../../packages/tidemark/dist/postgres/postgres.js'
import { createRedis } from '../../../packages/tidemark/dist/redis/create-redis.js'
import type { Redis } from '../../../packages/tidemark/dist/redis/redis.js'
import { bootstrappedTemplate, testUrl } from '../../../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { openState } from '../../../packages/tidemark/dist/state/state.js'
import { until } from '../../../packages/tidemark/dist/time/until.js'
import { createEventStore, type EventStore } from '../../../packages/tidemark/dist/webhooks/intake/event-store.js'
import { acceptedEvent } from '../../../packages/tidemark/dist/webhooks/testing/give-events.js'
import { partitionKeys } from '../../../packages/tidemark/dist/webhooks/webhooks.js'
import { type AofRedis, startAofRedis } from '../aof-redis.ts'
import { type Tally, tell } from '../tally.ts'
import { Fleet } from './fleet.ts'

export const partitions = 4

/** How long a partition may be without a worker after its own was killed (F1). */
export const takeOverMs = 15_000

/** How often it is told how far it is. */
const progressMs = 10_000

export interface Asked {
  readonly events: number
  readonly seconds: number
  readonly seed: number
  /** Of a Redis that is there and empty, such as a cluster; undefined for one of its own. */
  readonly redisUrl: string | undefined
}

export interface Place {
  readonly admin: pg.Client
  readonly pool: Pool
  readonly redisServer: AofRedis
  readonly redis: Redis
  readonly store: EventStore
  /** Workers of which a part `failing` of all attempts fails. None of them outlives the place. */
  fleet(asked: Asked, failing: number): Fleet
  stop(): Promise<void>
}

export type Scenario = (place: Place, asked: Asked, tally: Tally) => Promise<void>

/** What the intake was given and kept. */
export class Given {
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

export const one = async (db: pg.Client, sql: string): Promise<number> =>
  Number((await db.query(`select (${sql}) as n`)).rows[0].n)

export const effectsOf = (db: pg.Client) => one(db, 'select count(*) from chaos_effects')

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

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits for all effects, and tells how far it is. Gives the seconds that took. */
export const waitForEffects = async (place: Place, total: number, seconds: number, tally: Tally): Promise<number> => {
  const startedAt = performance.now()
  let toldAt = startedAt
  for (;;) {
    const there = await effectsOf(place.admin)
    const now = performance.now()
    if (there >= total) return (now - startedAt) / 1000
    if (now - startedAt > seconds * 1000) {
      tally.fail(`after ${seconds} s ${total - there} events have had no effect`)
      await tellStanding(place)
      return (now - startedAt) / 1000
    }
    if (now - toldAt > progressMs) {
      tell(`  ${there} of ${total} effects`)
      toldAt = now
    }
    await pause(250)
  }
}

/** Once each, in order, nothing dead, nothing left (T6). */
export const check = async (
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

export const ownedBy = (fleet: Fleet): number => fleet.workers.reduce((sum, { told }) => sum + (told?.owned.length ?? 0), 0)

export const untilOwned = (fleet: Fleet) =>
  until(() => ownedBy(fleet) === partitions, { timeoutMs: 60_000, what: 'The share-out' })

/** One that is not this program's to kill. */
const foreignRedis = (url: string): AofRedis => {
  const refuse = async (): Promise<never> => {
    throw new Error('the Redis that --redis names is not killed')
  }
  return { url, kill: refuse, start: refuse, stop: async () => {} }
}

export const openPlace = async ({ redisUrl }: Pick<Asked, 'redisUrl'>): Promise<Place> => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-chaos-webhooks-'))
  const ends: (() => Promise<unknown>)[] = [
    () => Promise.all([folder, outsideDir(folder)].map((path) => rm(path, { recursive: true, force: true, maxRetries: 5 }))),
  ]
  const stop = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end()
  }
  const opened = async <T>(thing: T, end: (thing: T) => Promise<unknown>): Promise<T> => {
    ends.push(() => end(thing))
    return thing
  }
  try {
    await chmod(folder, 0o755)
    const disposable = await startEmbeddedPostgres({ state: await openState(folder), disposable: true })
    const postgres = await opened(disposable, (it) => it.stop())
    await bootstrappedTemplate.prepare(postgres.url)
    const admin = await opened(new pg.Client({ connectionString: postgres.url }), (it) => it.end())
    await admin.connect()
    await admin.query(`create table chaos_effects (place bigint generated always as identity primary key, event uuid not null,
        entity text not null, n int not null, worker int not null, at timestamptz not null default clock_timestamp());
      grant all on chaos_effects to tidemark_app`)
    const redisServer = await opened(redisUrl === undefined ? await startAofRedis() : foreignRedis(redisUrl), (it) => it.stop())
    const redis = await opened(await createRedis({ url: redisServer.url, retryMaxMs: 500 }), (it) => it.stop())
    const pool = await opened(createNamedPool('primary', { url: testUrl(postgres.url, 'app') }), (it) => it.stop())
    const kept = { partitions, durability: 'postgres', dedupeTtlMs: 3_600_000, timeoutMs: 5_000 } as const
    const unopened = createEventStore({ pool, redis, ...kept, log: silentLogger, signals: undefined })
    const store = await opened(unopened, (it) => it.stop())
    await store.start()
    const fleet = (asked: Asked, failing: number): Fleet => {
      const made = new Fleet({
        postgres: testUrl(postgres.url, 'app'),
        redis: redisServer.url,
        partitions,
        failing,
        seed: asked.seed,
      })
      ends.push(() => made.close())
      return made
    }
    return { admin, pool, redisServer, redis, store, fleet, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

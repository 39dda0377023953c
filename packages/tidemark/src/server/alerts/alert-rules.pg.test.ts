import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { AlertSignal } from '../../alerts/alerts.js'
import { createAlertsMetrics } from '../../alerts/alerts-metrics.js'
import { Engine } from '../../alerts/rules/engine.js'
import { signalAlerts } from '../../alerts/rules/signal-alerts.js'
import { standardRules } from '../../alerts/rules/standard-rules.js'
import { type Threshold, tuneRules } from '../../alerts/rules/tune-rules.js'
import { TidemarkError } from '../../errors.js'
import type { FeedNode } from '../../feed/fan-out/open-feed-node.js'
import { createHealth } from '../../observability/health.js'
import { createMetrics } from '../../observability/metrics.js'
import { type Health, type Metrics, type SignalName, type Signals, silentLogger } from '../../observability/observability.js'
import { createSignals } from '../../observability/signals.js'
import { createNamedPool, type Pool } from '../../postgres/postgres.js'
import { createChangesMetrics } from '../../realtime/changes/changes-metrics.js'
import { createRedis } from '../../redis/create-redis.js'
import { appSource, platformSource } from '../../schema/migration-files.js'
import { createMigrator } from '../../schema/migrator.js'
import { bootstrappedTemplate, connectTo, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { createFakeClock, type FakeClock } from '../../testing/fake-clock.js'
import { lockWaits } from '../../testing/postgres/lock-waits.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { startTestRedis } from '../../testing/redis/redis-server.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { createPoolGauges, createPoolObserver } from '../database/pool-metrics.js'
import { createFeedGauges } from '../feed/feed-gauges.js'
import { createHttp } from '../http/http.js'
import type { Project } from '../project/project.js'
import { type AlertProbesOptions, createAlertProbes } from './alert-probes.js'

const database = useDatabase({ template: bootstrappedTemplate })
const admin = useClient(database)
const cleanups = useCleanups()

let folder: string
let clock: FakeClock
let metrics: Metrics
let health: Health
let signals: Signals
let told: AlertSignal[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-rules-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
beforeEach(() => {
  clock = createFakeClock()
  metrics = createMetrics()
  health = createHealth({ clock })
  signals = createSignals({ clock })
  told = []
})

const openPool = (): Pool => {
  const pool = createNamedPool('primary', {
    url: testUrl(database.url, 'app'),
    pools: { primary: { minConnections: 1, maxConnections: 4 } },
    slowQueryMs: 20,
    observer: createPoolObserver(metrics, silentLogger),
  })
  cleanups.push(() => pool.stop())
  return pool
}

const watch = (names: readonly string[], thresholds: Readonly<Record<string, Threshold>> = {}, refresh?: () => void): Engine => {
  const rules = tuneRules(standardRules, thresholds).filter(({ name }) => names.includes(name))
  expect(rules).toHaveLength(names.length)
  const engine = new Engine({
    rules,
    metrics,
    health,
    signals,
    clock,
    source: 'node',
    onSignals: (raised) => told.push(...raised),
    log: silentLogger,
    ...(refresh && { refresh }),
  })
  engine.listen()
  cleanups.push(() => engine.stop())
  return engine
}

const summary = () => told.map(({ kind, alertType, entityId }) => `${kind} ${alertType} ${entityId}`)

/** A look now, and others while so much time passes. */
const lookFor = async (engine: Engine, ms: number): Promise<void> => {
  await engine.look()
  for (let passed = 0; passed < ms; passed += 10_000) {
    await clock.advance(Math.min(10_000, ms - passed))
    await engine.look()
  }
}

const probe = async (options: Partial<AlertProbesOptions>, isMeasured: (text: string) => boolean): Promise<void> => {
  const none = (): Project => {
    throw new TidemarkError('TM_SERVER_STARTING', {})
  }
  const probes = createAlertProbes({ metrics, pool: openPool(), folders: {}, project: none, log: silentLogger, ...options })
  probes.start()
  await until(async () => isMeasured(await metrics.render()))
  await probes.stop()
}

describe('rules of every server, over the parts that they watch', () => {
  it('R79, R113: pool-utilisation: a pool that is used up for a minute', async () => {
    const pool = openPool()
    const show = createPoolGauges(metrics)
    const engine = watch(['pool-utilisation'], {}, () => show([pool]))
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const using = Array.from({ length: 4 }, () => pool.withClient(() => held))
    await until(() => pool.stats().inUse === 4)
    await lookFor(engine, 50_000)
    expect(summary()).toEqual([])
    await lookFor(engine, 10_000)
    expect(summary()).toEqual(['raise pool-utilisation primary'])
    expect(told[0]?.message).toBe('The share 1 of the connections of the pool primary is in use (more than 0.9).')
    release()
    await Promise.all(using)
    await lookFor(engine, 70_000)
    expect(summary().filter((each) => !each.startsWith('still'))).toEqual([
      'raise pool-utilisation primary',
      'resolve pool-utilisation primary',
    ])
  })

  it('R79: slow-queries and statement-errors: what a pool was asked within five minutes', async () => {
    const pool = openPool()
    const engine = watch(['slow-queries', 'statement-errors'], { 'slow-queries': { above: 5, back: 2 } })
    await engine.look()
    await Promise.all(Array.from({ length: 8 }, () => pool.query('select pg_sleep(0.03)')))
    await Promise.all(Array.from({ length: 50 }, () => pool.query('select 1 / 0').catch(() => undefined)))
    await lookFor(engine, 40_000)
    expect(summary().sort()).toEqual(['raise slow-queries primary', 'raise statement-errors primary'])
    await lookFor(engine, 700_000)
    expect(
      summary()
        .filter((each) => each.startsWith('resolve'))
        .sort(),
    ).toEqual(['resolve slow-queries primary', 'resolve statement-errors primary'])
  })

  it('error-rate and refusals: how requests ended', async () => {
    const app = await createHttp({ log: silentLogger, metrics })
    cleanups.push(() => app.close())
    app.get('/fails', async (_request, reply) => reply.status(500).send({}))
    app.get('/refuses', async (_request, reply) => reply.status(401).send({}))
    app.get('/works', async () => ({}))
    const engine = watch(['error-rate', 'refusals'], { refusals: { above: 10 } })
    await engine.look()
    for (let n = 0; n < 12; n += 1) for (const url of ['/fails', '/refuses', '/works']) await app.inject({ url })
    await lookFor(engine, 40_000)
    expect(summary().sort()).toEqual(['raise error-rate http', 'raise refusals http'])
  })

  it('R139: realtime-lag: changes that come late to clients, until they are in time again', async () => {
    const { told: tell } = createChangesMetrics(metrics)
    const engine = watch(['realtime-lag'])
    await engine.look()
    for (let n = 0; n < 200; n += 1) tell(n % 10 === 0 ? 3_000 : 20)
    await lookFor(engine, 50_000)
    expect(summary()).toEqual([])
    await lookFor(engine, 30_000)
    expect(summary()).toEqual(['raise realtime-lag changes'])
    for (let n = 0; n < 5_000; n += 1) tell(20)
    await lookFor(engine, 100_000)
    expect(summary().filter((each) => !each.startsWith('still'))).toEqual([
      'raise realtime-lag changes',
      'resolve realtime-lag changes',
    ])
  })

  it('webhook-backlog and webhook-dead-letters: what waits in Postgres', async () => {
    await admin.query(`
      insert into public.webhook_events (id, provider, dedupe_key, event_type, lane, payload, raw, verified, trust, status, dead_reason, received_at)
      values (gen_random_uuid(), 'lofty', 'a', 'x', 'l', '{}', '', true, 'hint', 'dead', 'attempts', now()),
             (gen_random_uuid(), 'lofty', 'b', 'x', 'l', '{}', '', true, 'hint', 'accepted', null, now() - interval '10 minutes')`)
    const engine = watch(['webhook-backlog', 'webhook-dead-letters'])
    await probe({}, (text) => /webhooks_dead_entries{provider="lofty"} 1/.test(text))
    await lookFor(engine, 40_000)
    expect(summary().sort()).toEqual(['raise webhook-backlog webhooks', 'raise webhook-dead-letters lofty'])
    await admin.query('delete from public.webhook_events')
  })

  it('disk, disk-full, memory, clock_skew: this machine', async () => {
    const engine = watch(['disk', 'disk-full', 'memory', 'clock_skew'], {
      disk: { below: 2 },
      'disk-full': { below: 2 },
      memory: { above: 0 },
    })
    const pool = openPool()
    // As on a host whose clock is ten minutes ahead (F9).
    const ahead: Pick<Pool, 'query'> = {
      query: async (text, values, options) => {
        const result = await pool.query<Record<string, number>>(text, values, options)
        for (const row of result.rows) if (typeof row['at'] === 'number') row['at'] -= 600_000
        return result as never
      },
    }
    await probe(
      { pool: ahead, folders: { state: folder } },
      (text) => /clock_offset_seconds{/.test(text) && /memory_used_ratio 0/.test(text),
    )
    await lookFor(engine, 60_000)
    const names = summary().map((each) => each.split(' ').slice(0, 2).join(' '))
    expect([...new Set(names)].filter((name) => name.startsWith('raise')).sort()).toEqual([
      'raise clock_skew',
      'raise disk',
      'raise disk-full',
      'raise memory',
    ])
    expect(told.find(({ alertType }) => alertType === 'clock_skew')?.message).toMatch(/ is 600 seconds off that of Postgres/)
    // Unchanged, this machine has room, and its clock is right.
    told = []
    metrics = createMetrics()
    const usual = watch(['clock_skew'])
    await probe({ folders: { state: folder } }, (text) => /clock_offset_seconds{/.test(text))
    await lookFor(usual, 60_000)
    expect(told).toEqual([])
  })

  it('R79, R86: schema-drift: migrations that are not applied', async () => {
    const migrations = join(folder, 'migrations')
    await mkdir(migrations)
    await writeFile(join(migrations, '20270101000000_later.sql'), 'create table later ();')
    const sources = [platformSource, appSource('later', pathToFileURL(`${migrations}/`))]
    const migrator = createMigrator({ connect: connectTo(testUrl(database.url, 'migrator')), sources })
    const project = {
      withDatabase: async (_url: undefined, fn: (given: object) => unknown) => fn({ migrator }),
    } as unknown as Project
    const engine = watch(['schema-drift'])
    await probe({ project: () => project }, (text) => /migrations_entries{state="pending"} 1/.test(text))
    await lookFor(engine, 130_000)
    expect(summary()).toEqual(['raise schema-drift pending'])
  })

  it('redis-away: a Redis that stopped, and comes back', async () => {
    const server = await startTestRedis()
    const redis = await createRedis({ url: server.url })
    cleanups.push(() => redis.stop())
    health.register({ name: 'redis', critical: false, check: () => ({ status: redis.state === 'up' ? 'up' : 'down' }) })
    const engine = watch(['redis-away'])
    await lookFor(engine, 20_000)
    expect(told).toEqual([])
    await server.stop()
    await until(() => redis.state === 'down')
    await lookFor(engine, 20_000)
    expect(summary()).toEqual(['raise redis-away redis'])
  })

  it('R79, R113: database-away, feed-silence, sync-lag: components of /health', async () => {
    const closed = createNamedPool('primary', {
      url: 'postgres://nobody@127.0.0.1:1/none',
      pools: { primary: { minConnections: 0, maxConnections: 1 } },
    })
    cleanups.push(() => closed.stop(0))
    const check = async (): Promise<{ status: 'up' }> => {
      await closed.query('select 1')
      return { status: 'up' }
    }
    for (const name of ['postgres', 'secondary', 'feed']) health.register({ name, critical: false, check })
    const engine = watch(['database-away', 'feed-silence', 'sync-lag'])
    // While it is asked, the time-out of the question is real.
    await lookFor(engine, 60_000)
    expect(
      summary()
        .filter((each) => each.startsWith('raise'))
        .sort(),
    ).toEqual(['raise database-away postgres', 'raise feed-silence feed', 'raise sync-lag secondary'])
  })

  it('slot-lag and alert-path: gauges of the feed and of alerts themselves', async () => {
    const feed = createFeedGauges(metrics)
    const node = { state: () => ({ role: 'reading' }) } as unknown as FeedNode
    feed.show(node, { behind: 2 * 1024 ** 3, headroomBytes: null } as Parameters<typeof feed.show>[1])
    createAlertsMetrics(metrics).showWaiting(
      0,
      new Map([
        ['ops', 90],
        ['log', 0],
      ]),
    )
    const engine = watch(['slot-lag', 'alert-path'])
    await lookFor(engine, 40_000)
    expect(summary().sort()).toEqual(['raise alert-path ops', 'raise slot-lag feed'])
    feed.show(node, { behind: 700 * 1024 ** 2, headroomBytes: null } as Parameters<typeof feed.show>[1])
    await lookFor(engine, 100_000)
    expect(summary().filter((each) => each.startsWith('resolve'))).toEqual([])
    feed.show(node, { behind: 0, headroomBytes: null } as Parameters<typeof feed.show>[1])
    await lookFor(engine, 100_000)
    expect(summary().filter((each) => each.startsWith('resolve'))).toEqual(['resolve slot-lag feed'])
  })

  it('every signal that begins something becomes an alert, and ends by its end or by itself', async () => {
    const engine = watch([])
    for (const [name, { endedBy, holdMs }] of Object.entries(signalAlerts) as [
      SignalName,
      { endedBy?: SignalName; holdMs?: number },
    ][]) {
      told = []
      signals.raise({ name, subject: 's', message: 'It is so.' })
      await until(() => told.length === 1)
      expect(told[0]).toMatchObject({ kind: 'raise', alertType: name, entityId: 's', message: 'It is so.' })
      if (endedBy) signals.raise({ name: endedBy, subject: 's', message: 'It is over.' })
      else await lookFor(engine, holdMs! + 10_000)
      await until(() => told.at(-1)?.kind === 'resolve')
      expect(told.filter(({ kind }) => kind === 'raise')).toHaveLength(1)
    }
  })
})

it('a stop waits for no measurement that a lock holds up', async () => {
  await admin.query('begin; lock table tidemark.move_runs in access exclusive mode')
  const pool = openPool()
  const project = (): Project => {
    throw new TidemarkError('TM_SERVER_STARTING', {})
  }
  const probes = createAlertProbes({ metrics, pool, folders: {}, project, log: silentLogger })
  probes.start()
  const waiting = `select from ${lockWaits} and relation = 'tidemark.move_runs'::regclass`
  await until(async () => (await admin.query(waiting)).rowCount! > 0)
  await probes.stop()
  expect((await admin.query(waiting)).rowCount).toBe(1)
  await admin.query('rollback')
})

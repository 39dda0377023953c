/** What is measured for rules of alerts alone: once for each of its spans, and never in the way of anything else. */
import { statfs } from 'node:fs/promises'
import { hostname, totalmem } from 'node:os'
import { probeMetrics } from '../../alerts/rules/standard-rules.js'
import { reasonOf } from '../../errors.js'
import type { Logger, Metrics } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import { systemClock } from '../../time/clock.js'
import type { Project } from '../project/project.js'

export interface AlertProbesOptions {
  readonly metrics: Metrics
  readonly pool: Pick<Pool, 'query'>
  /** Folders whose disks are looked at, by the name under which they are told of. */
  readonly folders: Readonly<Record<string, string>>
  /** The project, for what its migrations and moves say. */
  project(): Project
  readonly log: Logger
}

export interface AlertProbes {
  start(): void
  stop(): Promise<void>
}

interface Probe {
  readonly name: string
  readonly everyMs: number
  measure(): Promise<void>
}

/** What an operating system lets this process have. */
const memoryBytes = (): number => {
  const bound = process.constrainedMemory?.() ?? 0
  return bound > 0 && bound < totalmem() ? bound : totalmem()
}

const disk = ({ metrics, folders }: AlertProbesOptions): Probe => {
  const free = metrics.gauge(probeMetrics.diskFree, 'Share of a disk that is free.', ['folder'])
  return {
    name: 'disk',
    everyMs: 15_000,
    measure: async () => {
      for (const [folder, path] of Object.entries(folders)) {
        const { bavail, blocks } = await statfs(path)
        free.set(blocks > 0 ? bavail / blocks : Number.NaN, { folder })
      }
    },
  }
}

const memory = ({ metrics }: AlertProbesOptions): Probe => {
  const used = metrics.gauge(probeMetrics.memory, 'Share of the memory that this process may have which it has.')
  return {
    name: 'memory',
    everyMs: 5000,
    measure: async () => used.set(process.memoryUsage.rss() / memoryBytes()),
  }
}

/** The quickest of three questions says most about the time between them. */
const clockOffsetSeconds = async (pool: Pick<Pool, 'query'>): Promise<number> => {
  let best = { tookMs: Number.POSITIVE_INFINITY, offsetMs: 0 }
  for (let question = 0; question < 3; question += 1) {
    const [askedMs, from] = [systemClock.now(), systemClock.monotonicMs()]
    const { rows } = await pool.query<{ readonly at: number }>(
      'select (extract(epoch from clock_timestamp()) * 1000)::float8 as at',
      [],
      {
        idempotent: true,
      },
    )
    const tookMs = systemClock.monotonicMs() - from
    if (tookMs < best.tookMs) best = { tookMs, offsetMs: askedMs + tookMs / 2 - (rows[0]?.at ?? Number.NaN) }
  }
  return Math.abs(best.offsetMs) / 1000
}

const clock = ({ metrics, pool }: AlertProbesOptions): Probe => {
  const offset = metrics.gauge(probeMetrics.clockOffset, 'How far the clock of this host is off that of Postgres.', ['host'])
  const host = hostname()
  return {
    name: 'clock',
    everyMs: 15_000,
    measure: async () =>
      offset.set(
        await clockOffsetSeconds(pool).catch((error: unknown) => {
          offset.set(Number.NaN, { host })
          throw error
        }),
        { host },
      ),
  }
}

const webhooksSql = `
  select coalesce(extract(epoch from clock_timestamp() - min(received_at) filter (where status in ('accepted', 'processing'))), 0)::float8 as waiting,
         coalesce((select jsonb_object_agg(provider, n) from
           (select provider, count(*) as n from public.webhook_events where status = 'dead' group by 1) d), '{}') as dead
    from public.webhook_events where status in ('accepted', 'processing')`

const webhooks = ({ metrics, pool }: AlertProbesOptions): Probe => {
  const waiting = metrics.gauge(probeMetrics.webhooksWaiting, 'How long the oldest webhook event waits.')
  const dead = metrics.gauge(probeMetrics.webhooksDead, 'Webhook events that wait for an operator.', ['provider'])
  const known = new Set<string>()
  return {
    name: 'webhooks',
    everyMs: 10_000,
    measure: async () => {
      const { rows } = await pool.query<{ readonly waiting: number; readonly dead: Readonly<Record<string, number>> }>(
        webhooksSql,
        [],
        {
          idempotent: true,
        },
      )
      const found = rows[0]!
      waiting.set(found.waiting)
      for (const provider of Object.keys(found.dead)) known.add(provider)
      for (const provider of known) dead.set(found.dead[provider] ?? 0, { provider })
    },
  }
}

const driftStates = ['pending', 'changed', 'missing'] as const

const migrations = ({ metrics, project }: AlertProbesOptions): Probe => {
  const entries = metrics.gauge(probeMetrics.migrations, 'Migrations that are not as they should be.', ['state'])
  return {
    name: 'migrations',
    everyMs: 300_000,
    measure: async () => {
      const { schemaStatus } = await import('../operations/schema.js')
      const found = await schemaStatus(project())
      for (const state of driftStates) entries.set(found.migrations.filter((each) => each.state === state).length, { state })
    },
  }
}

const moves = ({ metrics, project, pool }: AlertProbesOptions): Probe => {
  const behind = metrics.gauge(probeMetrics.moveBehind, 'Changes of a file that Postgres has not got.', ['move'])
  const mirrored = metrics.gauge(probeMetrics.mirrorBehind, 'Write-ahead log that the mirror of a file has not got.', ['move'])
  return {
    name: 'moves',
    everyMs: 30_000,
    measure: async () => {
      // Most projects move nothing, and looking at a file costs more than this.
      const { rows } = await pool.query<{ readonly any: boolean }>(
        'select exists (select from tidemark.move_runs where finished_at is null) as any',
        [],
        { idempotent: true },
      )
      if (!rows[0]?.any) return
      const { moveStatus } = await import('../operations/move/move.js')
      for (const { runId, log, mirror } of await moveStatus(project(), {})) {
        if (log && log.behind !== null) behind.set(log.behind, { move: runId })
        if (mirror && mirror.behindBytes !== null) mirrored.set(mirror.behindBytes, { move: runId })
      }
    },
  }
}

/** A stop waits so long for what is being measured: a question may wait in Postgres for a lock as long as somebody holds it. */
const graceMs = 500

/** Starts with what costs nothing; what cannot be measured is not known, and no reason for anything. */
export const createAlertProbes = (options: AlertProbesOptions): AlertProbes => {
  const stopping = new AbortController()
  const probes = [disk, memory, clock, webhooks, migrations, moves].map((make) => make(options))
  let running: readonly Promise<void>[] = []
  const run = async ({ name, everyMs, measure }: Probe): Promise<void> => {
    while (!stopping.signal.aborted) {
      await measure().catch((error: unknown) => options.log.debug('it could not be measured', { name, reason: reasonOf(error) }))
      await systemClock.sleep(everyMs, stopping.signal).catch(() => undefined)
    }
  }
  return {
    start: () => {
      running = probes.map(run)
    },
    stop: async () => {
      stopping.abort()
      const ended = new AbortController()
      const all = Promise.all(running).finally(() => ended.abort())
      await Promise.race([all, systemClock.sleep(graceMs, ended.signal).catch(() => undefined)])
    },
  }
}

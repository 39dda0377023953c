/** What is done now and then: whoever fell silent is given up, metrics and health are written, what is old goes. */
import type { Logger, Pool, Signals } from 'tidemark'
import { createSchedule, logFailedJobs, type Schedule } from 'tidemark/app'
import { eventsOf } from './events.js'
import { forgetHealth, type Measured, storeHealth } from './health.js'
import { collectMetrics } from './metrics.js'
import type { Backoff } from './queue.js'
import { type Silenced, silenceAgents } from './silence.js'
import type { Writes } from './writes.js'

export interface JobsOptions {
  readonly writes: Writes
  readonly pool: Pool
  readonly clock: { now(): number }
  readonly backoff: Backoff
  readonly signals: Signals
  readonly log: Logger
  readonly measure: () => Promise<Measured>
  /** How long metrics and health are kept. Default 90 days. */
  readonly keepDays?: number
}

export interface Jobs extends Schedule {
  /** Each may be run at any time, by any number of servers. */
  readonly silence: () => Promise<Silenced>
  readonly metrics: () => Promise<number>
  readonly health: () => Promise<void>
  readonly maintain: () => Promise<void>
}

/** One server at a time: the others have nothing to do. */
const onlyOne = 'select pg_try_advisory_xact_lock(hashtext($1)) as mine'

export const createJobs = (options: JobsOptions): Jobs => {
  const { writes, pool, clock, backoff, signals, log, measure, keepDays = 90 } = options
  const silent = new Set<string>()
  const now = (): Date => new Date(clock.now())

  /** Agents that are heard of again. */
  const tellBack = async (): Promise<void> => {
    if (silent.size === 0) return
    const { rows } = await pool.query<{ agent_id: string }>(
      "select agent_id from agent_instances where agent_id = any ($1::text[]) and status <> 'offline'",
      [[...silent]],
    )
    for (const { agent_id } of rows) {
      silent.delete(agent_id)
      signals.raise({ name: 'heartbeat.back', subject: `agent ${agent_id}`, message: `The agent ${agent_id} is heard of again.` })
    }
  }

  const silence = async (): Promise<Silenced> => {
    const { result } = await writes.write(async (tx, announce) => {
      const found = await silenceAgents(tx, now(), backoff)
      for (const task of found.tasks) await announce(eventsOf.task(task))
      for (const agent of found.agents) await announce(eventsOf.agent(agent))
      return found
    })
    for (const { agent_id } of result.agents) {
      silent.add(agent_id)
      const message = `The agent ${agent_id} sent no heartbeat and is offline; what it ran goes back into the queue.`
      signals.raise({ name: 'heartbeat.missed', subject: `agent ${agent_id}`, message })
    }
    await tellBack()
    return result
  }

  const metrics = async (): Promise<number> => {
    const { result } = await writes.write(async (tx, announce) => {
      const { rows } = await tx.query<{ mine: boolean }>(onlyOne, ['agents.metrics'])
      const written = rows[0]?.mine ? await collectMetrics(tx, now()) : []
      for (const metric of written) await announce(eventsOf.metric(metric))
      return written.length
    })
    return result
  }

  const health = async (): Promise<void> => {
    const measured = await measure()
    await writes.write(async (tx, announce) => {
      const { rows } = await tx.query<{ mine: boolean }>(onlyOne, ['agents.health'])
      if (!rows[0]?.mine) return
      // One row a minute, however many servers there are.
      const recent = await tx.query(
        "select from system_health where timestamp > $1::timestamptz - interval '50 seconds' and timestamp <= $1",
        [now()],
      )
      if (recent.rowCount === 0) await announce(eventsOf.health(await storeHealth(tx, now(), measured)))
    })
  }

  const maintain = async (): Promise<void> => {
    await pool.query("select * from agent_metrics_maintain($1 * interval '1 day', $2)", [keepDays, now()])
    await forgetHealth(pool, now(), keepDays)
  }

  const schedule = createSchedule(
    {
      silence: { everyMs: 10_000, run: silence },
      metrics: { everyMs: 60_000, run: metrics },
      health: { everyMs: 60_000, run: health },
      maintain: { everyMs: 3_600_000, run: maintain },
    },
    logFailedJobs(log),
  )
  return { ...schedule, silence, metrics, health, maintain }
}

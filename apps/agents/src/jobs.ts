/** What is done now and then: whoever fell silent is given up, metrics and health are written, what is old goes. */
import { sql } from 'kysely'
import type { Logger, Pool, Signals } from 'tidemark'
import { createSchedule, logFailedJobs, type Schedule } from 'tidemark/app'
import { eventsOf } from './repository/events.js'
import { forgetHealth, isHealthStored, type Measured, storeHealth } from './repository/health.js'
import { heardOf } from './repository/instances.js'
import { collectMetrics, maintainMetrics, windowMs } from './repository/metrics.js'
import type { Backoff } from './repository/queue.js'
import type { Db } from './repository/rows.js'
import { type Silenced, silenceAgents } from './repository/silence.js'
import { firstOf, tables } from './repository/tables.js'
import type { Writes } from './second-database/writes.js'

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

const dayMs = 24 * 3_600_000

/** Whether this server is the one that does it until its transaction ends: the others have nothing to do. */
const isMine = async (db: Db, job: string): Promise<boolean> => {
  const lock = sql<boolean>`pg_try_advisory_xact_lock(hashtext(${job}))`.as('mine')
  return (await firstOf(db, tables.selectNoFrom(lock)))!.mine
}

export const createJobs = (options: JobsOptions): Jobs => {
  const { writes, pool, clock, backoff, signals, log, measure, keepDays = 90 } = options
  const silent = new Set<string>()
  let collectedAt = Number.NEGATIVE_INFINITY
  const now = (): Date => new Date(clock.now())

  /** Agents that are heard of again. */
  const tellBack = async (): Promise<void> => {
    if (silent.size === 0) return
    for (const agent_id of await heardOf(pool, [...silent])) {
      silent.delete(agent_id)
      signals.raise({ name: 'heartbeat.back', subject: `agent ${agent_id}`, message: `The agent ${agent_id} is heard of again.` })
    }
  }

  const silence = async (): Promise<Silenced> => {
    const { result } = await writes.write(async (tx, announce) => {
      const found = await silenceAgents(tx, now(), backoff)
      await announce([...found.tasks.flatMap(eventsOf.task), ...found.agents.flatMap(eventsOf.agent)])
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

  /** What ended while no server ran is collected by the first that runs again. */
  const metrics = async (): Promise<number> => {
    const at = clock.now()
    const since = new Date(Math.max(collectedAt - windowMs, at - dayMs))
    const { result } = await writes.write(async (tx, announce) => {
      if (!(await isMine(tx, 'agents.metrics'))) return 0
      const written = await collectMetrics(tx, new Date(at), since)
      await announce(written.flatMap(eventsOf.metric))
      return written.length
    })
    collectedAt = at
    return result
  }

  const health = async (): Promise<void> => {
    const measured = await measure()
    await writes.write(async (tx, announce) => {
      // One row a minute, however many servers there are.
      if (!(await isMine(tx, 'agents.health')) || (await isHealthStored(tx, now(), 50_000))) return
      await announce(eventsOf.health(await storeHealth(tx, now(), measured)))
    })
  }

  const maintain = async (): Promise<void> => {
    await maintainMetrics(pool, now(), keepDays)
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

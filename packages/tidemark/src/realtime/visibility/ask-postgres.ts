import { TidemarkError } from '../../errors.js'
import type { Pool } from '../../postgres/postgres.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { type Budget, type Job, judgingSettings, judgingStatements, type Outcome, outcomesOf } from './judging-block.js'

export interface AskPostgresOptions {
  /** Logs in as the role that may become those of callers. */
  readonly pool: Pick<Pool, 'batch'>
  /** As `search_path` has it: where functions of policies look for names without a schema. */
  readonly searchPath: string
  readonly budget: Budget
  /** For how long callers that were not reached are asked for again. */
  readonly patienceMs: number
  readonly clock?: Clock | undefined
  readonly signal: AbortSignal
}

/** Asks all jobs, and again those callers that were not reached. Raises TM_POSTGRES_*; gives outcomes by job, by claims. */
export type AskPostgres = (jobs: readonly Job[]) => Promise<readonly (readonly Outcome[])[]>

/** In one message; what is larger goes in several. */
const maxJobCharacters = 4_000_000
const pauseMs = 50

const chunked = (jobs: readonly Job[]): readonly (readonly Job[])[] => {
  const chunks: Job[][] = [[]]
  let size = 0
  for (const job of jobs) {
    if (size > 0 && size + job.rows.length > maxJobCharacters) {
      chunks.push([])
      size = 0
    }
    chunks.at(-1)?.push(job)
    size += job.rows.length + job.claims.reduce((sum, one) => sum + one.length, 0)
  }
  return chunks
}

/** The callers of a job that were not reached. */
interface Rest {
  readonly index: number
  readonly claims: readonly number[]
}

const restOf = (outcomes: readonly (readonly Outcome[])[]): readonly Rest[] =>
  outcomes.flatMap((own, index) => {
    const claims = own.flatMap(({ type }, place) => (type === 'unreached' ? [place] : []))
    return claims.length === 0 ? [] : [{ index, claims }]
  })

export const createAskPostgres = ({
  pool,
  searchPath,
  budget,
  patienceMs,
  clock = systemClock,
  signal,
}: AskPostgresOptions): AskPostgres => {
  const askOnce = async (jobs: readonly Job[]): Promise<readonly (readonly Outcome[])[]> => {
    const settings = judgingSettings(jobs, searchPath, budget)
    try {
      const results = await pool.batch(judgingStatements, { readOnly: true, end: 'rollback', settings, signal })
      return outcomesOf(jobs, results[1]?.rows[0]?.[0] ?? '[]')
    } catch (error) {
      // The time may also run out where nobody's policy is at work.
      if (sqlstateOf(error) !== '57014' || signal.aborted) throw error
      return jobs.map(({ claims }) => claims.map(() => ({ type: 'unreached' })))
    }
  }
  const askAll = async (jobs: readonly Job[]): Promise<readonly (readonly Outcome[])[]> => {
    const outcomes: (readonly Outcome[])[] = []
    for (const chunk of chunked(jobs)) outcomes.push(...(await askOnce(chunk)))
    return outcomes
  }
  return async (jobs) => {
    const outcomes: Outcome[][] = (await askAll(jobs)).map((own) => [...own])
    const until = clock.monotonicMs() + patienceMs
    for (let rest = restOf(outcomes); rest.length > 0; rest = restOf(outcomes)) {
      const left = rest.reduce((sum, { claims }) => sum + claims.length, 0)
      const again = rest.map(({ index, claims }): Job => {
        const job = jobs[index] as Job
        return { ...job, claims: claims.map((place) => job.claims[place] as string) }
      })
      const answers = await askAll(again)
      rest.forEach(({ index, claims }, which) => {
        claims.forEach((place, at) => {
          const own = outcomes[index]
          const answer = answers[which]?.[at]
          if (own && answer) own[place] = answer
        })
      })
      const reached = left - restOf(outcomes).reduce((sum, { claims }) => sum + claims.length, 0)
      if (reached > 0) continue
      if (clock.monotonicMs() > until) break
      await clock.sleep(pauseMs, signal)
    }
    if (signal.aborted) throw new TidemarkError('TM_POSTGRES_POOL_CLOSED', { pool: 'realtime' })
    return outcomes
  }
}

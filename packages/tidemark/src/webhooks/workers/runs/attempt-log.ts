import { isTidemarkError } from '../../../errors.js'
import { isoText } from '../../../postgres/postgres.js'
import type { DeadReason } from '../../webhooks.js'
import { storedText } from './attempts.js'

/**
 * One attempt, as the row of its event keeps it. `processed` and `failed` say it themselves; `breaker_open`: it failed since an open
 * circuit breaker let nothing through; `worker_ended`: its worker ended, or was no longer heard of, while it had the event, and the
 * attempt does not count.
 */
export interface AttemptLine {
  /** Within its chain, 1 for the first; each replay begins a new chain. */
  readonly attempt: number
  /** Whose chain it is of; null before any replay. */
  readonly replayId: string | null
  readonly outcome: 'processed' | 'failed' | 'breaker_open' | 'worker_ended'
  /** ISO 8601, when this was written: at the end, or when it was noticed that the worker had ended. Of `processed`, see `beganAt`. */
  readonly at: string
  /** ISO 8601. Of `worker_ended` when the worker had taken it; null where nobody noted that. */
  readonly beganAt: string | null
  /** Of the handlers. Null where they were not run, and where the event succeeded at once, which costs no statement to say. */
  readonly durationMs: number | null
  /** `host:pid:name`. Null where it was not kept. */
  readonly worker: string | null
  readonly code: string | null
  /** Without secrets, at most 1,000 characters. */
  readonly message: string | null
  /** Without the message and secrets, at most 3,000 characters. */
  readonly stack: string | null
  /** ISO 8601, when the next attempt was due; null where none was. */
  readonly nextAt: string | null
  /** Set where it was the last one. */
  readonly deadReason: DeadReason | null
}

/** What a worker says of an attempt that ended; Postgres adds the rest from the row and its own clock. */
export type EndedAttempt = Pick<AttemptLine, 'outcome' | 'durationMs' | 'worker' | 'code' | 'message' | 'stack'>

/** An event keeps so many. */
export const mostLines = 20
const longestMessage = 1_000
const longestStack = 3_000
const deepestCause = 5
const codePattern = /^[\w.:-]{1,64}$/

const causesOf = (error: unknown): readonly unknown[] => {
  const causes: unknown[] = []
  for (let at = error; at instanceof Error && causes.length < deepestCause; at = at.cause) causes.push(at)
  return causes
}

const codeOf = (error: unknown): string | undefined => {
  const code = (error as { readonly code?: unknown }).code
  return typeof code === 'string' && codePattern.test(code) ? storedText(code, 64) : undefined
}

/** What was thrown, for the line of its attempt. */
export const failureOf = (error: unknown): Pick<EndedAttempt, 'outcome' | 'code' | 'message' | 'stack'> => {
  const causes = causesOf(error)
  const isSkipped = causes.some((cause) => isTidemarkError(cause, 'TM_RESILIENCE_BREAKER_OPEN'))
  const frames = error instanceof Error ? error.stack?.match(/^\s+at .*$/gm)?.join('\n') : undefined
  return {
    outcome: isSkipped ? 'breaker_open' : 'failed',
    code: causes.map(codeOf).find((code) => code !== undefined) ?? null,
    message: storedText(error instanceof Error ? error.message : String(error), longestMessage),
    stack: frames === undefined ? null : storedText(frames, longestStack),
  }
}

/** SET clauses that append a line, an SQL expression of jsonb, to the log of a row; `condition` where only some rows get one. */
export const appendLine = (line: string, condition = 'true'): string => {
  const isFull = `coalesce(jsonb_array_length(attempt_log), 0) >= ${mostLines}`
  return `attempt_log = case when ${condition} then
            case when ${isFull} then attempt_log - 0 else coalesce(attempt_log, '[]') end || jsonb_build_array(${line}) else attempt_log end,
          attempts_left_out = attempts_left_out + (${condition} and ${isFull})::int`
}

interface LineParts {
  /** SQL expressions. */
  readonly attempt?: string
  readonly nextAt?: string
  readonly deadReason?: string
}

/** The line of an attempt that ends now, by the parameter that holds its {@link EndedAttempt}. */
export const endedLine = (
  parameter: string,
  { attempt = 'attempts', nextAt = 'null::timestamptz', deadReason = 'null' }: LineParts = {},
): string =>
  `${parameter}::jsonb || jsonb_build_object('attempt', ${attempt}, 'replayId', replay_id, 'at', ${isoText('statement_timestamp()')},
     'beganAt', ${isoText(`statement_timestamp() - make_interval(secs => coalesce((${parameter}::jsonb->>'durationMs')::float8, 0) / 1000)`)},
     'nextAt', ${isoText(nextAt)}, 'deadReason', ${deadReason})`

const nothingFailed = `'durationMs', null, 'code', null, 'message', null, 'stack', null, 'nextAt', null, 'deadReason', null`

/** The line of an attempt whose worker, named by the parameter, has ended. It took the event when the row was last written, where that is told. */
export const abandonedLine = (parameter: string): string =>
  `jsonb_build_object('outcome', 'worker_ended', 'worker', ${parameter}::text, 'attempt', attempts + 1, 'replayId', replay_id,
     'at', ${isoText('statement_timestamp()')},
     'beganAt', case when status = 'processing' or claims > 1 then ${isoText('updated_at')} end,
     ${nothingFailed})`

/** The line of what succeeded at once, from what the row keeps. */
export const keptLine = `jsonb_build_object('outcome', 'processed', 'worker', worker, 'attempt', attempts, 'replayId', replay_id,
     'at', ${isoText('processed_at')}, 'beganAt', ${isoText('processed_at')},
     ${nothingFailed})`

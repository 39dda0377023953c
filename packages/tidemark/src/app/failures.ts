/** What went wrong, for the log: codes only, since what Postgres says of a row may quote it. */
import { isTidemarkError } from '../errors.js'
import type { Logger } from '../observability/observability.js'

/** A request that failed here. */
export interface Failure {
  readonly error: unknown
  readonly code: string
  /** Of the answer: 500 or more. */
  readonly status: number
  /** The route's pattern, not its address. */
  readonly route: string
  readonly requestId: string
}

const comeAgain = 503

const causeOf = (error: unknown): string => (isTidemarkError(error) ? error.code : 'unexpected')

/** A 503 passes by itself, such as a write that came while a move held the tables: it is no fault of anybody's. */
export const logFailures =
  (log: Logger) =>
  ({ error, code, status, route, requestId }: Failure): void => {
    const fields = { code, route, requestId, cause: causeOf(error) }
    if (status === comeAgain) log.warn('a request has to be made again', fields)
    else log.error('a request failed', fields)
  }

/** `onError` of createSchedule: a line in the log for each run that failed. */
export const logFailedJobs =
  (log: Logger) =>
  (job: string, error: unknown): void =>
    log.warn('a job failed; it runs again', { job, cause: causeOf(error) })

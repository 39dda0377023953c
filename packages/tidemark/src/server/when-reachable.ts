/** The start of a server whose Postgres starts at the same time, or is too busy to answer in time. */
import { isTidemarkError, reasonOf } from '../errors.js'
import type { Logger } from '../observability/observability.js'
import { isConnectionLoss, toPostgresError } from '../postgres/postgres-error.js'
import { retry } from '../resilience/retry.js'
import { type Clock, systemClock } from '../time/clock.js'

export interface WhenReachableOptions {
  /** From the first failure on; 0: that is the end of it. */
  readonly timeoutMs: number
  readonly log: Logger
  /** Nobody wants it any more. Default: it is always wanted. */
  isUnwanted?(): boolean
  readonly clock?: Clock
}

/** Does work that is safe to do twice, again as long as Postgres cannot be reached. */
export type WhenReachable = <T>(work: () => Promise<T>) => Promise<T>

const pauses = { baseMs: 250, maxMs: 1_000 }
const somewhere = { name: 'the configured address', user: '' }

/** Sessions of the start speak with the driver itself, so that its errors come as well; a migration that broke off was not applied. */
const isLoss = (error: unknown): boolean =>
  isTidemarkError(error, 'TM_POSTGRES_CONNECTION_LOST') ||
  (isTidemarkError(error, 'TM_SCHEMA_FAILED') && isLoss(error.cause)) ||
  isConnectionLoss(toPostgresError(error, somewhere))

/** Where it stays away, the last error is raised as TM_POSTGRES_UNREACHABLE; any other error at once. */
export const createWhenReachable = (options: WhenReachableOptions): WhenReachable => {
  const { timeoutMs, log, isUnwanted = () => false, clock = systemClock } = options
  return async (work) => {
    let endsAt: number | undefined
    const mayRetry = (): boolean => {
      endsAt ??= clock.monotonicMs() + timeoutMs
      return !isUnwanted() && clock.monotonicMs() < endsAt
    }
    const onRetry = ({ attempt, error }: { readonly attempt: number; readonly error: unknown }): void => {
      if (attempt === 1) log.warn('Postgres cannot be reached yet: trying again', { reason: reasonOf(error), timeoutMs })
    }
    const attempts = Number.MAX_SAFE_INTEGER
    return retry(work, { ...pauses, attempts, retryable: isLoss, mayRetry, onRetry, clock }).catch((error: unknown) => {
      throw isLoss(error) ? toPostgresError(error, somewhere) : error
    })
  }
}

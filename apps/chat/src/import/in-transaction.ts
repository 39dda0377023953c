import { type Pool, retry } from 'tidemark'

/** Another import was faster with one of the chats: begin the batch again. */
export class BatchOvertaken extends Error {}

const isWorthAnotherTry = (error: unknown): boolean =>
  error instanceof BatchOvertaken || (error instanceof Error && 'retryable' in error && error.retryable === true)

/** For batches that may be done twice: the second time they are done already. */
export const inTransaction = <T>(pool: Pool, fn: Parameters<Pool['transaction']>[0], signal?: AbortSignal): Promise<T> =>
  retry(() => pool.transaction(fn) as Promise<T>, { retryable: isWorthAnotherTry, ...(signal && { signal }) })

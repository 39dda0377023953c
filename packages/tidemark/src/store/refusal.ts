/** How the two databases say that they do not take this application's writes now. */
import { cutMessage, cuttingMessage } from '../sqlite/capture/fence-triggers.js'

/** The SQLSTATE of `tidemark.refuse_write()`. */
const refusedState = 'TM001'

const chain = (error: unknown): readonly Error[] =>
  error instanceof Error ? [error, ...(error.cause === undefined ? [] : chain(error.cause))] : []

const codeOf = (error: Error): unknown => (error as { readonly code?: unknown }).code

/** True for what a fence raised: nothing of the transaction was kept, and the other store takes it now or soon. */
export const isRefusal = (error: unknown): boolean =>
  chain(error).some((one) => {
    const code = codeOf(one)
    if (code === refusedState) return true
    const isTrigger = typeof code === 'string' && code.startsWith('SQLITE_CONSTRAINT')
    return isTrigger && (one.message === cutMessage || one.message === cuttingMessage)
  })

/** True where SQLite waits for another program. */
export const isBusy = (error: unknown): boolean => chain(error).some((one) => /^SQLITE_(?:BUSY|LOCKED)/.test(String(codeOf(one))))

const networkCodes = /^(?:ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_|EHOST|ENET|EADDRNOTAVAIL|ENOENT)/
const lostStates = /^(?:08|57P0[123]|53300)/
const lostWords =
  /Connection terminated|not queryable|timeout exceeded when trying to connect|timeout expired|server closed the connection/i

/** True where Postgres could not be reached, or went away. */
export const isUnreachable = (error: unknown): boolean =>
  chain(error).some((one) => {
    const code = String(codeOf(one) ?? '')
    return networkCodes.test(code) || lostStates.test(code) || code === 'TM_POSTGRES_UNREACHABLE' || lostWords.test(one.message)
  })

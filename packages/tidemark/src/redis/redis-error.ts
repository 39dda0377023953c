import { isTidemarkError, reasonOf, TidemarkError } from '../errors.js'

const longestReason = 300

/** Commands that would change the mode of a connection which others use at the same time. */
const modeCommands = new Set(
  'SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR MULTI EXEC DISCARD WATCH UNWATCH SELECT QUIT RESET AUTH HELLO'.split(
    ' ',
  ),
)

/** The server speaks, but cannot serve just now: the same command may succeed in a moment. */
const passing = /^(?:LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|READONLY|BUSY)\b|max (?:\w+ )?requests? limit exceeded/i
/** Another server has the key. */
const elsewhere = /^(?:MOVED|ASK) /
const refusedLogin = /^(?:WRONGPASS|NOAUTH)\b|^ERR (?:invalid password|.*\bAUTH\b)|^unauthorized/i

/** What the server said, without what we had said to it: a refused command's arguments are other people's data. */
const withoutArguments = (message: string): string =>
  message
    .replace(/,? with args beginning with:[\s\S]*/i, '')
    .replace(/, command was:[\s\S]*/, '')
    .slice(0, longestReason)

const refused = (reason: string) => new TidemarkError('TM_REDIS_COMMAND', { reason })

/** Redis cannot be reached at the moment. */
export const unreachable = (target: string, reason: string) => new TidemarkError('TM_REDIS_UNREACHABLE', { target, reason })

/** The error reply of a server as our own. Never with the driver's error as its cause: that one carries the arguments. */
export const replyError = (message: string, target: string): TidemarkError => {
  const reason = withoutArguments(message)
  if (refusedLogin.test(reason)) return new TidemarkError('TM_REDIS_AUTHENTICATION', { target, reason })
  if (elsewhere.test(reason)) return new TidemarkError('TM_REDIS_CLUSTER', { target, reason })
  return passing.test(reason) ? unreachable(target, reason) : refused(reason)
}

/** The same error for another caller: two must not share one stack. */
export const renewed = ({ code, parameters }: TidemarkError): TidemarkError => new TidemarkError(code, parameters as never)

/** The innermost reason of a failed connection: `connect ECONNREFUSED 127.0.0.1:6379` rather than `fetch failed`. */
const connectionReason = (error: unknown): string => {
  if (error instanceof AggregateError && error.errors.length > 0) return connectionReason(error.errors[0])
  if (error instanceof Error && error.cause instanceof Error) return connectionReason(error.cause)
  return reasonOf(error).slice(0, longestReason)
}

/** Anything that a connection failed with, as TM_REDIS_UNREACHABLE. */
export const connectionError = (error: unknown, target: string): TidemarkError =>
  isTidemarkError(error) ? error : unreachable(target, connectionReason(error))

/** Raises TM_REDIS_COMMAND for a command that must not go over a shared connection, or whose arguments are none. */
export const checkCommand = (command: readonly [string, ...unknown[]]): void => {
  const [name] = command
  if (!/^[A-Za-z][\w.|-]*$/.test(name)) throw refused('its name is not a word')
  if (modeCommands.has(name.toUpperCase())) {
    throw refused(`${name.toUpperCase()} would change the connection for all who share it; use subscribe() or an atomic pipeline`)
  }
  for (let at = 1; at < command.length; at++) {
    const arg = command[at]
    const fits = typeof arg === 'string' || arg instanceof Uint8Array || (typeof arg === 'number' && Number.isFinite(arg))
    if (!fits) throw refused(`argument ${at} of ${name} is ${typeof arg}, not text, a number or bytes`)
  }
}

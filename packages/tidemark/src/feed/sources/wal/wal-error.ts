import { isTidemarkError, reasonOf, TidemarkError } from '../../../errors.js'
import type { ConnectOptions } from '../../../postgres/driver/connect.js'
import { parseConnection } from '../../../postgres/driver/connection.js'
import { sqlstateOf, toPostgresError } from '../../../postgres/postgres-error.js'

export interface WalErrorContext {
  readonly target: ConnectOptions
  /** Full name of the slot, where it is known. */
  readonly slot: string
}

const mayReplicate =
  'Run `alter role "{user}" replication` as a superuser (a managed service has a role to grant for it), or read changes from an outbox.'

/** What the role needs: to read the log, or to make the publication. */
const permissionFix = (user: string, forPublication: boolean): string =>
  forPublication
    ? `Give the feed the connection string of the tables' owner, or let that role run \`create publication\` and \`alter publication … add table\`.`
    : mayReplicate.replace('{user}', user)

/** What went wrong with the stream or its slot, as an error that says what to do. */
export const toFeedError = (error: unknown, { target, slot }: WalErrorContext, forPublication = false): TidemarkError => {
  if (isTidemarkError(error) && !isTidemarkError(error, 'TM_POSTGRES_PERMISSION')) return error
  const { name, user } = parseConnection(target.url, target)
  const options = { cause: error }
  const reason = reasonOf(error)
  switch (sqlstateOf(error)) {
    case '42501':
      return new TidemarkError(
        'TM_FEED_PERMISSION',
        { target: name, user, reason, fix: permissionFix(user, forPublication) },
        options,
      )
    case '53400':
      return new TidemarkError('TM_FEED_SLOT_LIMIT', { target: name, reason }, options)
    case '55006':
      return new TidemarkError('TM_FEED_SLOT_BUSY', { slot, pid: /\d+$/.exec(reason)?.[0] ?? '?' }, options)
    default:
      return toPostgresError(error, { name, user })
  }
}

/** The reader was told to go: by a server that stops, or by one who takes the slot over and shall have it first. */
export const wasTerminated = (error: unknown): boolean => sqlstateOf(error) === '57P01'

/** A slot that cannot be read on although the server does not say so: its WAL, or the publication as it was then, is gone. */
export const isDeadEnd = (error: unknown): boolean => ['58P01', '42704'].includes(sqlstateOf(error) ?? '')

const passing = [
  'TM_POSTGRES_UNREACHABLE',
  'TM_POSTGRES_TIMEOUT',
  'TM_POSTGRES_CONFLICT',
  'TM_POSTGRES_CONNECTION_LOST',
  'TM_TIME_TIMEOUT',
] as const
/** The object was there when it was looked for, or its state is in between: looking again tells. */
const changing = new Set(['42704', '42710', '55000', '58P01'])

/** Whether another attempt may end better. */
export const isPassing = (error: unknown): boolean =>
  passing.some((code) => isTidemarkError(error, code)) || changing.has(sqlstateOf(error) ?? '')

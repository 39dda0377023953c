import type { CodeMessage } from '../../config/config.js'
import type { AuthContext, AuthRequest } from '../auth-context.js'
import { AuthError } from '../auth-error.js'
import { type OneTimeTokenType, putOneTimeToken } from '../tables/one-time-tokens.js'
import type { Queryable } from '../tables/queryable.js'
import { type UserChanges, updateUser } from '../tables/users.js'
import { hashOf } from '../tokens/opaque-token.js'
import type { User } from '../user.js'
import { linkOf } from './link-of.js'
import { drawCode, linkTokenOf } from './one-time-code.js'

export type CodeKind = CodeMessage['kind']
type SentAt =
  | 'confirmation_sent_at'
  | 'recovery_sent_at'
  | 'email_change_sent_at'
  | 'phone_change_sent_at'
  | 'reauthentication_sent_at'

interface KindFacts {
  readonly type: OneTimeTokenType
  readonly sentAt: SentAt
  /** The type that a link names; undefined where the code alone counts. */
  readonly linkType: string | undefined
}

const kinds: Readonly<Record<CodeKind, KindFacts>> = {
  signup: { type: 'confirmation_token', sentAt: 'confirmation_sent_at', linkType: 'signup' },
  invite: { type: 'confirmation_token', sentAt: 'confirmation_sent_at', linkType: 'invite' },
  sms: { type: 'confirmation_token', sentAt: 'confirmation_sent_at', linkType: undefined },
  magiclink: { type: 'recovery_token', sentAt: 'recovery_sent_at', linkType: 'magiclink' },
  recovery: { type: 'recovery_token', sentAt: 'recovery_sent_at', linkType: 'recovery' },
  email_change_current: { type: 'email_change_token_current', sentAt: 'email_change_sent_at', linkType: 'email_change' },
  email_change_new: { type: 'email_change_token_new', sentAt: 'email_change_sent_at', linkType: 'email_change' },
  phone_change: { type: 'phone_change_token', sentAt: 'phone_change_sent_at', linkType: undefined },
  reauthentication: { type: 'reauthentication_token', sentAt: 'reauthentication_sent_at', linkType: undefined },
}

export type Channel = CodeMessage['channel']

/** Raises AuthError where nothing can be sent: before anything is written, and for everybody alike. */
export const requireSender = ({ settings }: AuthContext, channel: Channel): void => {
  if (settings.sendCode) return
  const [code, way] = channel === 'email' ? ['email_provider_disabled', 'mail'] : ['phone_provider_disabled', 'text messages']
  throw new AuthError(422, code, `This server has no way to send ${way}: auth.sendCode is not set`)
}

/** Raises AuthError where the last code went out only a moment ago. */
const checkPause = (user: User, sentAt: SentAt, channel: Channel, { settings, now }: AuthContext): void => {
  const nextAtMs = (user[sentAt]?.getTime() ?? Number.NEGATIVE_INFINITY) + settings.codePauseMs
  const leftMs = nextAtMs - now().getTime()
  if (leftMs <= 0) return
  const seconds = Math.ceil(leftMs / 1000)
  const code = channel === 'email' ? 'over_email_send_rate_limit' : 'over_sms_send_rate_limit'
  throw new AuthError(429, code, `For security purposes, you can only request this after ${seconds} seconds.`, {
    retryAfterSeconds: seconds,
  })
}

export interface CodeWanted {
  readonly user: User
  readonly kind: CodeKind
  readonly channel: Channel
  readonly to: string
  /** Ends in a code exchange. */
  readonly pkce?: boolean
  /** Made by an administrator, who may do so at any time. */
  readonly atOnce?: boolean
}

export interface MadeCode extends CodeMessage {
  readonly tokenHash: string
}

/** Draws a code and keeps its hash, in the caller's transaction. What comes of it is to be sent after that has ended. */
export const makeCode = async (
  context: AuthContext,
  db: Queryable,
  { user, kind, channel, to, pkce = false, atOnce = false }: CodeWanted,
  { redirectTo }: Pick<AuthRequest, 'redirectTo'>,
): Promise<MadeCode> => {
  const { type, sentAt, linkType } = kinds[kind]
  if (!atOnce) checkPause(user, sentAt, channel, context)
  const [secret] = (await context.keyring.current()).secrets
  const code = drawCode()
  const token = linkTokenOf(secret, code, { userId: user.id, type, relatesTo: to }, pkce)
  const now = context.now()
  await putOneTimeToken(db, { user_id: user.id, token_type: type, token_hash: hashOf(token), relates_to: to }, now)
  const changes: UserChanges = { [sentAt]: now }
  await updateUser(db, user.id, changes, now)
  return {
    kind,
    channel,
    to,
    code,
    tokenHash: token,
    userId: user.id,
    expiresAt: new Date(now.getTime() + context.settings.codeTtlMs),
    ...(linkType !== undefined && {
      link: linkOf({ externalUrl: context.settings.externalUrl, token, type: linkType, redirectTo }),
    }),
  }
}

/** Sends what a committed transaction has made. Raises AuthError where that fails; a new code can be asked for. */
export const deliver = async (context: AuthContext, codes: readonly CodeMessage[]): Promise<void> => {
  const { settings, log } = context
  for (const message of codes) {
    requireSender(context, message.channel)
    try {
      await settings.sendCode?.(message)
    } catch (cause) {
      log.error('a code could not be sent', { kind: message.kind, channel: message.channel, err: cause })
      throw new AuthError(500, 'unexpected_failure', `Error sending ${message.channel === 'email' ? 'email' : 'sms'}`, { cause })
    }
  }
}

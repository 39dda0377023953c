import { createHash, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import type { TidemarkConfig } from '../../config/config.js'
import type { State } from '../../state/state.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { adminTokensOf } from '../project/admin-token.js'
import { type OperatorRole, operatorRoles } from './operator.js'

/** A session of an operator, as the cookie holds it: signed, so that nobody writes one, and not secret. */
export interface Session {
  readonly name: string
  readonly role: OperatorRole
  /** What began it. A user's session is not made longer, since the user's role may have been taken back meanwhile. */
  readonly began: 'token' | 'user'
  /** Goes along with each write, in a header that other pages cannot send. */
  readonly csrf: string
  readonly beganAtMs: number
  readonly endsAtMs: number
}

export interface Sessions {
  readonly cookieName: string
  begin(who: Pick<Session, 'name' | 'role' | 'began'>): Session
  /** The same with a later end, where it is time for that and it may be made longer. */
  renewed(session: Session): Session | undefined
  /** As a value of `Set-Cookie`; without a session the one that ends it. */
  cookie(session: Session | undefined, isSecure: boolean): Promise<string>
  /** Undefined where there is none, it ended, or this server did not sign it. */
  read(cookies: string | undefined): Promise<Session | undefined>
}

/** However busy an operator is: after so long, the token is asked for again. */
const longestMs = 12 * 3_600_000
const audience = 'tidemark-dashboard'

/** A changed admin token ends all sessions: the key is made of both. */
const keyOf = async (config: TidemarkConfig, state: State): Promise<Uint8Array> => {
  const secret = config.dashboard.sessionSecret ?? (await state.secret('dashboard-session'))
  const [token] = await adminTokensOf(config, state)
  return new Uint8Array(hkdfSync('sha256', secret, createHash('sha256').update(token).digest(), audience, 32))
}

/** Browsers share cookies between ports: each project has a name of its own. */
const nameOf = (key: Uint8Array): string => `tidemark_${createHash('sha256').update(key).digest('hex').slice(0, 10)}`

const readCookie = (cookies: string | undefined, name: string): string | undefined =>
  cookies
    ?.split(';')
    .map((part) => part.trim())
    .find((part) => part.startsWith(`${name}=`))
    ?.slice(name.length + 1)

export const isSame = (given: unknown, expected: string): boolean => {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return typeof given === 'string' && timingSafeEqual(digest(given), digest(expected))
}

const isSession = (claims: Readonly<Record<string, unknown>>): boolean =>
  typeof claims['name'] === 'string' &&
  typeof claims['csrf'] === 'string' &&
  typeof claims['beganAtMs'] === 'number' &&
  operatorRoles.some((role) => role === claims['role'])

/** Sessions without a table: what is known of one is in its cookie. */
export const createSessions = async (config: TidemarkConfig, state: State, clock: Clock = systemClock): Promise<Sessions> => {
  const key = await keyOf(config, state)
  const cookieName = nameOf(key)
  const { sessionMs } = config.dashboard
  const endOf = (beganAtMs: number): number => Math.min(clock.now() + sessionMs, beganAtMs + longestMs)
  return {
    cookieName,
    begin: (who) => {
      const beganAtMs = clock.now()
      return { ...who, csrf: randomBytes(24).toString('base64url'), beganAtMs, endsAtMs: endOf(beganAtMs) }
    },
    renewed: (session) => {
      if (session.began === 'user' || session.endsAtMs - clock.now() > sessionMs / 2) return undefined
      const endsAtMs = endOf(session.beganAtMs)
      return endsAtMs > session.endsAtMs ? { ...session, endsAtMs } : undefined
    },
    cookie: async (session, isSecure) => {
      const attributes = `Path=/admin/v1; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`
      if (!session) return `${cookieName}=; ${attributes}; Max-Age=0`
      const { SignJWT } = await import('jose')
      const token = await new SignJWT({ ...session })
        .setProtectedHeader({ alg: 'HS256' })
        .setAudience(audience)
        .setExpirationTime(Math.floor(session.endsAtMs / 1000))
        .sign(key)
      return `${cookieName}=${token}; ${attributes}; Max-Age=${Math.max(1, Math.floor((session.endsAtMs - clock.now()) / 1000))}`
    },
    read: async (cookies) => {
      const token = readCookie(cookies, cookieName)
      if (token === undefined) return undefined
      const { jwtVerify } = await import('jose')
      const options = { algorithms: ['HS256'], audience, currentDate: new Date(clock.now()) }
      const verified = await jwtVerify<Record<string, unknown>>(token, key, options).catch(() => undefined)
      if (!verified || !isSession(verified.payload)) return undefined
      const { name, role, began, csrf, beganAtMs, endsAtMs } = verified.payload as unknown as Session
      return { name, role, began, csrf, beganAtMs, endsAtMs }
    },
  }
}

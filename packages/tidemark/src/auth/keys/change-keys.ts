import type { TidemarkConfig } from '../../config/config.js'
import { TidemarkError } from '../../errors.js'
import type { State } from '../../state/state.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { changeKeys, type KeyFile, newApiKey, newJwtSecret, newSigningKey, readKeys } from './key-file.js'

/** What can be rotated. */
export const keyKinds = ['jwt-secret', 'es256', 'publishable', 'secret'] as const
export type KeyKind = (typeof keyKinds)[number]

/** One key of the project. */
export interface KeyReport {
  readonly kind: KeyKind
  readonly id: string
  readonly state: 'current' | 'retiring'
  readonly createdAt: string
  /** Until when a retiring one still counts. */
  readonly until: string | null
  /** Of a publishable or secret key; the other kinds are not for handing out. */
  readonly value: string | null
}

interface Dated {
  readonly createdAt: string
  readonly until?: string | undefined
}

const reportsOf = (file: KeyFile): readonly KeyReport[] => {
  const report = (kind: KeyKind, id: string, { createdAt, until }: Dated, value: string | null): KeyReport => ({
    kind,
    id,
    state: until === undefined ? 'current' : 'retiring',
    createdAt,
    until: until ?? null,
    value,
  })
  return [
    ...file.jwtSecrets.map((key) => report('jwt-secret', key.id, key, null)),
    ...file.signingKeys.map((key) => report('es256', key.kid, key, null)),
    ...file.apiKeys.map((key) => report(key.kind, key.id, key, key.value)),
  ]
}

/** The generated keys of a project, those that are past left out. Raises TM_STATE_*. */
export const listKeys = async (state: State, clock: Clock = systemClock): Promise<readonly KeyReport[]> => {
  const file = await readKeys(state, () => new Date(clock.now()))
  return reportsOf(file).filter(({ until }) => until === null || Date.parse(until) > clock.now())
}

/** The current one retires, those that are past go, and the new one takes over. */
const succeed = <Key extends Dated>(
  keys: readonly Key[],
  fresh: Key,
  now: Date,
  graceMs: number,
  isMeant = (_key: Key) => true,
) => {
  const until = new Date(now.getTime() + graceMs).toISOString()
  const retired = keys.map((key) => (key.until === undefined && isMeant(key) ? { ...key, until } : key))
  return [fresh, ...retired.filter((key) => key.until === undefined || Date.parse(key.until) > now.getTime())]
}

export interface RotateOptions {
  /** How long what the old one signed still counts; 0 for one that has leaked. */
  readonly graceMs: number
  readonly clock?: Clock
}

const rotated = (file: KeyFile, kind: KeyKind, now: Date, graceMs: number): KeyFile => {
  if (kind === 'jwt-secret') return { ...file, jwtSecrets: succeed(file.jwtSecrets, newJwtSecret(now), now, graceMs) }
  if (kind === 'es256') return { ...file, signingKeys: succeed(file.signingKeys, newSigningKey(now), now, graceMs) }
  return { ...file, apiKeys: succeed(file.apiKeys, newApiKey(kind, now), now, graceMs, (key) => key.kind === kind) }
}

/**
 * Puts a new key in the place of the current one of its kind. Running servers of the project notice within seconds.
 * Raises TM_AUTH_KEY_CONFIGURED where the configuration gives the secret, TM_AUTH_KEY_MISSING where there is no such key, and TM_STATE_*.
 */
export const rotateKey = async (
  config: TidemarkConfig,
  state: State,
  kind: KeyKind,
  { graceMs, clock = systemClock }: RotateOptions,
): Promise<readonly KeyReport[]> => {
  if (kind === 'jwt-secret' && config.supabase.jwtSecret !== undefined) throw new TidemarkError('TM_AUTH_KEY_CONFIGURED', {})
  const now = () => new Date(clock.now())
  await changeKeys(state, now, (file) => {
    const has = kind !== 'es256' || file.signingKeys.some(({ until }) => until === undefined)
    if (!has) throw new TidemarkError('TM_AUTH_KEY_MISSING', { kind })
    return rotated(file, kind, now(), graceMs)
  })
  return listKeys(state, clock)
}

/**
 * Adds an ES256 key: from now on it signs the tokens of sessions, and anyone can verify them by the public keys at
 * `/auth/v1/.well-known/jwks.json`. Raises TM_AUTH_KEY_EXISTS and TM_STATE_*.
 */
export const addSigningKey = async (state: State, clock: Clock = systemClock): Promise<readonly KeyReport[]> => {
  const now = () => new Date(clock.now())
  await changeKeys(state, now, (file) => {
    if (file.signingKeys.some(({ until }) => until === undefined)) throw new TidemarkError('TM_AUTH_KEY_EXISTS', {})
    return rotated(file, 'es256', now(), 0)
  })
  return listKeys(state, clock)
}

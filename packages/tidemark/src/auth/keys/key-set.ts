import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
import type { TidemarkConfig } from '../../config/config.js'
import { digestOf, type KnownKey } from '../find-caller.js'
import type { VerificationKeys } from '../verifier.js'
import type { KeyFile } from './key-file.js'
import { type ApiKeys, signApiKey } from './sign-api-key.js'

/** What signs the tokens of sessions. */
export type SigningKey =
  | { readonly alg: 'HS256'; readonly secret: string }
  | { readonly alg: 'ES256'; readonly kid: string; readonly key: KeyObject }

/** The keys that count at one moment. */
export interface KeySet {
  readonly verification: VerificationKeys
  readonly signing: SigningKey
  /** The secrets that count, the current one first. */
  readonly secrets: readonly [string, ...string[]]
  readonly apiKeys: ApiKeys
  /** Everything that may stand in an `apikey` header. */
  readonly known: readonly KnownKey[]
  /** When one of them ends, in milliseconds since 1970; Infinity where none does. */
  readonly changesAtMs: number
}

const counts =
  (nowMs: number) =>
  ({ until }: { readonly until?: string | undefined }): boolean =>
    until === undefined || Date.parse(until) > nowMs

const publicOf = ({ kid, x, y }: KeyFile['signingKeys'][number]): JWK => ({
  kty: 'EC',
  crv: 'P-256',
  x,
  y,
  kid,
  alg: 'ES256',
  use: 'sig',
  key_ops: ['verify'],
})

const signingOf = (keys: KeyFile['signingKeys'], secret: string): SigningKey => {
  const current = keys.find(({ until }) => until === undefined)
  if (!current) return { alg: 'HS256', secret }
  const { kid, x, y, d } = current
  return { alg: 'ES256', kid, key: createPrivateKey({ key: { kty: 'EC', crv: 'P-256', x, y, d }, format: 'jwk' }) }
}

/** The current one first. */
const secretsOf = ({ supabase, auth }: TidemarkConfig, file: KeyFile, nowMs: number): readonly [string, ...string[]] => {
  if (supabase.jwtSecret !== undefined) return [supabase.jwtSecret, ...(auth.previousJwtSecrets ?? [])]
  const [current, ...others] = file.jwtSecrets
    .filter(counts(nowMs))
    .sort((a, b) => Number(a.until !== undefined) - Number(b.until !== undefined))
    .map(({ secret }) => secret)
  return [current!, ...others]
}

const issuedAtOf = (file: KeyFile): number => file.jwtSecrets.find(({ until }) => until === undefined)!.issuedAt

/** What counts now of the generated keys and of those that the configuration gives. */
export const keySetOf = async (config: TidemarkConfig, file: KeyFile, nowMs: number): Promise<KeySet> => {
  const { anonKey, serviceRoleKey } = config.supabase
  const secrets = secretsOf(config, file, nowMs)
  const signingKeys = file.signingKeys.filter(counts(nowMs))
  const apiKeys = {
    anon: anonKey ?? (await signApiKey('anon', secrets[0], issuedAtOf(file))),
    service: serviceRoleKey ?? (await signApiKey('service_role', secrets[0], issuedAtOf(file))),
  }
  const opaque = file.apiKeys.filter(counts(nowMs)).map(({ kind, value }) => ({
    digest: digestOf(value),
    role: kind === 'publishable' ? 'anon' : 'service_role',
  }))
  const ends = [...file.jwtSecrets, ...file.signingKeys, ...file.apiKeys].map(({ until }) =>
    until ? Date.parse(until) : Infinity,
  )
  return {
    verification: { secrets, publicKeys: signingKeys.map(publicOf) },
    signing: signingOf(signingKeys, secrets[0]),
    secrets,
    apiKeys,
    known: [
      { digest: digestOf(apiKeys.anon), role: 'anon' },
      { digest: digestOf(apiKeys.service), role: 'service_role' },
      ...opaque,
    ],
    changesAtMs: Math.min(...ends.filter((end) => end > nowMs), Infinity),
  }
}

import type { TidemarkConfig } from '../config/config.js'
import type { State } from '../state/state.js'

/** The two keys that a Supabase client may be made with: JWTs that name a role. */
export interface ApiKeys {
  /** For browsers: row-level security applies. */
  readonly anon: string
  /** For servers: row-level security does not bind it. */
  readonly service: string
}

const tenYearsSeconds = 10 * 365 * 86_400

/** The secret that signs and checks JWTs: the configured one, else one drawn for this project. */
export const jwtSecretOf = async ({ supabase }: TidemarkConfig, state: State): Promise<string> =>
  supabase.jwtSecret ?? state.secret('jwt-secret')

const sign = async (role: 'anon' | 'service_role', secret: string, issuedAtSeconds: number): Promise<string> => {
  const { SignJWT } = await import('jose')
  return new SignJWT({ role })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer('tidemark')
    .setIssuedAt(issuedAtSeconds)
    .setExpirationTime(issuedAtSeconds + tenYearsSeconds)
    .sign(new TextEncoder().encode(secret))
}

/**
 * The project's keys: the configured ones, else HS256 JWTs as Supabase issues them, valid for ten years.
 * The moment of issue is kept, so that a key stays the same as long as its secret does.
 */
export const apiKeysOf = async (config: TidemarkConfig, state: State): Promise<ApiKeys> => {
  const { anonKey, serviceRoleKey } = config.supabase
  if (anonKey !== undefined && serviceRoleKey !== undefined) return { anon: anonKey, service: serviceRoleKey }
  const secret = await jwtSecretOf(config, state)
  const issuedAt = Number(await state.secret('keys-issued-at', () => String(Math.floor(Date.now() / 1000))))
  return {
    anon: anonKey ?? (await sign('anon', secret, issuedAt)),
    service: serviceRoleKey ?? (await sign('service_role', secret, issuedAt)),
  }
}

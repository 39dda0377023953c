import type { TidemarkConfig } from '../config/config.js'
import type { State } from '../state/state.js'
import { type Clock, systemClock } from '../time/clock.js'
import { createFindCaller, digestOf, type FindCaller, type KnownKey } from './find-caller.js'
import { type Keyring, openKeyring } from './keys/keyring.js'
import { createVerifier, type Verifier } from './verifier.js'

/** How requests, sockets and tokens become callers in one project. */
export interface Callers {
  readonly verifier: Verifier
  readonly findCaller: FindCaller
  /** Undefined where a cloud project issues the tokens. */
  readonly keyring: Keyring | undefined
}

/** Whether a cloud project is in charge of users: this server verifies its tokens, and answers no `/auth/v1`. */
export const isCloud = ({ supabase }: TidemarkConfig): boolean => supabase.enabled && supabase.url !== undefined

const configuredKeys = ({ supabase: { anonKey, serviceRoleKey } }: TidemarkConfig): readonly KnownKey[] => [
  ...(anonKey === undefined ? [] : [{ digest: digestOf(anonKey), role: 'anon' }]),
  ...(serviceRoleKey === undefined ? [] : [{ digest: digestOf(serviceRoleKey), role: 'service_role' }]),
]

/** Tokens of the cloud project: by its secret where that is given, else and besides by its public keys. */
const openCloudCallers = (config: TidemarkConfig, clock: Clock): Callers => {
  const { supabase, auth } = config
  const secrets = supabase.jwtSecret === undefined ? [] : [supabase.jwtSecret, ...(auth.previousJwtSecrets ?? [])]
  const verifier = createVerifier({
    keys: { secrets, publicKeys: [] },
    jwksUrl: `${supabase.url?.replace(/\/+$/, '')}/auth/v1/.well-known/jwks.json`,
    audience: [auth.audience],
    clock,
  })
  const known = configuredKeys(config)
  const findCaller = createFindCaller({ verifier, keys: () => known, requireApiKey: auth.apiKeyRequired })
  return { verifier, findCaller, keyring: undefined }
}

/** Opens them for a project. Nothing is read before the first request. */
export const openCallers = (config: TidemarkConfig, state: State, clock: Clock = systemClock): Callers => {
  if (isCloud(config)) return openCloudCallers(config, clock)
  const { auth } = config
  const keyring = openKeyring(config, state, clock)
  const verifier = createVerifier({
    keys: async () => (await keyring.current()).verification,
    audience: [auth.audience],
    clock,
  })
  const keys = async () => (await keyring.current()).known
  return { verifier, findCaller: createFindCaller({ verifier, keys, requireApiKey: auth.apiKeyRequired }), keyring }
}

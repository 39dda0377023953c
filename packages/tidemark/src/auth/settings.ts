import type { SendCode, TidemarkConfig } from '../config/config.js'

/** How many calls of a kind fit into the window of their limit. */
export interface AuthLimits {
  readonly signInsPerIp: number
  readonly refreshesPerIp: number
  readonly codesPerIp: number
  readonly verificationsPerIp: number
  readonly anonymousPerIp: number
  readonly failuresPerAccount: number
}

/** What `auth.*` of the configuration comes to for one server. */
export interface AuthSettings {
  /** Where clients reach `/auth/v1`, without a slash at the end. */
  readonly externalUrl: string
  readonly siteUrl: string
  readonly redirectUrls: readonly string[]
  readonly audience: string
  readonly jwtExpirySeconds: number
  readonly refreshReuseIntervalMs: number
  readonly refreshAfterLostAnswer: boolean
  readonly signup: boolean
  readonly anonymousUsers: boolean
  readonly autoconfirm: boolean
  readonly doubleConfirmEmailChange: boolean
  readonly passwordMinLength: number
  readonly passwordMaxLength: number
  readonly passwordChangeNeedsCode: boolean
  readonly codeTtlMs: number
  readonly codePauseMs: number
  readonly limits: AuthLimits
  /** Undefined where nothing can be sent. */
  readonly sendCode: SendCode | undefined
}

export interface Surroundings {
  /** The address that the server listens on. */
  readonly url: string
  /** Whether its Postgres is the embedded one. */
  readonly embedded: boolean
  /** Takes codes where the configuration has no `sendCode` and the environment is development. */
  readonly developmentSender: SendCode
}

const lenientLimit = 10_000

const limitsOf = ({ limits }: TidemarkConfig['auth'], lenient: boolean): AuthLimits => {
  const or = (given: number | undefined, usual: number): number => given ?? (lenient ? lenientLimit : usual)
  return {
    signInsPerIp: or(limits.signInsPerIp, 30),
    refreshesPerIp: or(limits.refreshesPerIp, 150),
    codesPerIp: or(limits.codesPerIp, 30),
    verificationsPerIp: or(limits.verificationsPerIp, 30),
    anonymousPerIp: or(limits.anonymousPerIp, 30),
    failuresPerAccount: or(limits.failuresPerAccount, 20),
  }
}

/** Codes that anyone with a look at this machine may read are for trying things out only. */
export const isDevelopment = ({ environment }: TidemarkConfig): boolean => /^(dev|development|local|test)$/i.test(environment)

export const authSettingsOf = (config: TidemarkConfig, { url, embedded, developmentSender }: Surroundings): AuthSettings => {
  const { auth } = config
  const development = isDevelopment(config)
  // Where nobody said otherwise the environment is development; with a Postgres elsewhere that may be a slip.
  const lenient = development && embedded
  const externalUrl = (auth.externalUrl ?? url).replace(/\/+$/, '')
  return {
    ...auth,
    externalUrl,
    siteUrl: auth.siteUrl ?? externalUrl,
    autoconfirm: auth.autoconfirm ?? embedded,
    codePauseMs: auth.codePauseMs ?? (lenient ? 0 : 60_000),
    limits: limitsOf(auth, lenient),
    sendCode: auth.sendCode ?? (development ? developmentSender : undefined),
  }
}

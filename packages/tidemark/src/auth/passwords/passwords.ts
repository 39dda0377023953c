import { randomBytes } from 'node:crypto'
import { AuthError } from '../auth-error.js'
import { defaultCost, type HashCost, hashPassword, isKnownHash, isOutdated, matchesHash } from './password-hash.js'

/** Makes and checks hashes of passwords, a few at a time. */
export interface Passwords {
  /** Raises AuthError where too many wait. */
  hash(password: string): Promise<string>
  /**
   * Takes as long for a user who does not exist, or has no password, as for one who does. `outdated` asks for a new hash of the
   * same password. Raises AuthError where too many wait.
   */
  verify(password: string, hash: string | null | undefined): Promise<{ readonly matches: boolean; readonly outdated: boolean }>
}

export interface PasswordsOptions {
  readonly cost?: HashCost
  /** Hashes made at once. Node has four threads for all slow work, and each hash takes 32 MiB. Default 2. */
  readonly concurrency?: number
  /** Calls that may wait. Default 64. */
  readonly maxWaiting?: number
}

/** Runs at most so many at once, in order of arrival. */
const createTurnstile = (concurrency: number, maxWaiting: number) => {
  let running = 0
  const waiting: (() => void)[] = []
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= concurrency) {
      if (waiting.length >= maxWaiting)
        throw new AuthError(429, 'over_request_rate_limit', 'Too many sign-ins are under way', { retryAfterSeconds: 5 })
      // Whoever ends hands its place over.
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running += 1
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}

export const createPasswords = ({ cost = defaultCost, concurrency = 2, maxWaiting = 64 }: PasswordsOptions = {}): Passwords => {
  const inTurn = createTurnstile(concurrency, maxWaiting)
  let dummy: Promise<string> | undefined
  /** Of a password that nobody has. */
  const dummyHash = (): Promise<string> => {
    dummy ??= hashPassword(randomBytes(32).toString('base64'), cost)
    return dummy
  }
  return {
    hash: (password) => inTurn(() => hashPassword(password, cost)),
    verify: (password, hash) =>
      inTurn(async () => {
        const known = hash != null && isKnownHash(hash)
        const matches = await matchesHash(password, known ? hash : await dummyHash())
        return { matches: known && matches, outdated: known && isOutdated(hash, cost) }
      }),
  }
}

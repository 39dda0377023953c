import { createHash } from 'node:crypto'
import type { Clock } from '../time/clock.js'
import type { Caller } from './caller.js'

/** Callers whose token was verified a moment ago. */
export interface TokenCache {
  get(token: string): Caller | undefined
  set(token: string, caller: Caller, validUntilSeconds: number): void
  clear(): void
}

interface Entry {
  readonly caller: Caller
  readonly untilMs: number
}

/** Tokens themselves are not kept. A collision would let one caller pass as another, so the hash is a cryptographic one. */
const digest = (token: string): string => createHash('sha256').update(token).digest('base64')

/**
 * Keeps at most `maxEntries` callers, each until its token expires and for at most `maxAgeMs`, after which the keys are asked
 * again. Beyond the bound the one that was used longest ago goes.
 */
export const createTokenCache = (maxEntries: number, maxAgeMs: number, clock: Clock): TokenCache => {
  const entries = new Map<string, Entry>()
  return {
    get: (token) => {
      const key = digest(token)
      const entry = entries.get(key)
      if (!entry) return undefined
      entries.delete(key)
      if (entry.untilMs < clock.now()) return undefined
      entries.set(key, entry)
      return entry.caller
    },
    set: (token, caller, validUntilSeconds) => {
      const key = digest(token)
      entries.delete(key)
      entries.set(key, { caller, untilMs: Math.min(validUntilSeconds * 1000, clock.now() + maxAgeMs) })
      const [oldest] = entries.size > maxEntries ? entries.keys() : []
      if (oldest !== undefined) entries.delete(oldest)
    },
    clear: () => entries.clear(),
  }
}

import { networkOf } from '../../resilience/limiter/network-of.js'
import { createLimiter } from '../../resilience/limiter.js'
import type { Limiter, LimiterStore } from '../../resilience/resilience.js'
import type { Clock } from '../../time/clock.js'

/** Keeps those away whose signatures are wrong again and again, before anything is computed for them. */
export interface SenderGuard {
  /** How long deliveries from there are refused; 0 where they are not. */
  waitMs(ip: string): number
  /** A signature from there was wrong. */
  failed(ip: string): Promise<void>
}

export interface SenderGuardOptions {
  /** Wrong signatures in a minute. 0: any number. */
  readonly failuresPerMinute: number
  /** Where they are counted. Default: in this process. */
  readonly store?: LimiterStore | undefined
  readonly clock: Clock
}

const windowMs = 60_000
const maxRefused = 10_000

/** Behind it stands a proxy, or the machine itself: refusing it would refuse everybody. */
const isInside = (ip: string): boolean =>
  /^(?:::ffff:)?(?:127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.)/.test(ip) || /^(?:::1$|f[cd]|fe80:)/i.test(ip)

const nobody: SenderGuard = { waitMs: () => 0, failed: async () => undefined }

export const createSenderGuard = ({ failuresPerMinute, store, clock }: SenderGuardOptions): SenderGuard => {
  if (failuresPerMinute === 0) return nobody
  const limiter: Limiter = createLimiter({
    name: 'webhooks:failures',
    limit: failuresPerMinute,
    windowMs,
    clock,
    ...(store && { store }),
  })
  const refusedUntilMs = new Map<string, number>()

  return {
    waitMs: (ip) => {
      if (refusedUntilMs.size === 0) return 0
      const sender = networkOf(ip)
      const waitMs = (refusedUntilMs.get(sender) ?? 0) - clock.monotonicMs()
      if (waitMs > 0) return waitMs
      refusedUntilMs.delete(sender)
      return 0
    },
    failed: async (ip) => {
      if (isInside(ip)) return
      const sender = networkOf(ip)
      const { allowed, retryAfterMs } = await limiter.take(sender)
      if (allowed) return
      const [oldest] = refusedUntilMs.size >= maxRefused ? refusedUntilMs.keys() : []
      if (oldest !== undefined) refusedUntilMs.delete(oldest)
      refusedUntilMs.set(sender, clock.monotonicMs() + retryAfterMs)
    },
  }
}

import type { Metrics } from '../../observability/observability.js'
import type { Rejection } from './answers.js'
import type { Kept } from './event-store.js'

/** What is counted of deliveries. Providers are those of the configuration, so that a stranger makes no series. */
export interface IntakeMetrics {
  received(provider: string): void
  verified(provider: string, keyId: string): void
  rejected(provider: string, reason: Rejection): void
  /** A signature that no key of the provider confirms; the key where one does that is not good any more. */
  unconfirmed(provider: string, keyId: string | undefined): void
  kept(provider: string, where: Kept): void
  /** From the head of the request to the answer. */
  answered(provider: string, seconds: number): void
  body(provider: string, bytes: number): void
  waiting(signatures: number): void
}

const nothing = (): void => undefined

export const silentIntakeMetrics: IntakeMetrics = {
  received: nothing,
  verified: nothing,
  rejected: nothing,
  unconfirmed: nothing,
  kept: nothing,
  answered: nothing,
  body: nothing,
  waiting: nothing,
}

const ackBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
const sizeBuckets = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576]

export const createIntakeMetrics = (metrics: Metrics): IntakeMetrics => {
  const received = metrics.counter('tidemark_webhook_received_total', 'Deliveries that came.', ['provider'])
  const verified = metrics.counter('tidemark_webhook_verified_total', 'Deliveries that a key confirmed.', ['provider', 'key'])
  const rejected = metrics.counter('tidemark_webhook_rejected_total', 'Deliveries that were not accepted.', [
    'provider',
    'reason',
  ])
  const failures = metrics.counter(
    'tidemark_webhook_signature_failures_total',
    'Signatures that no good key confirmed; key is one that did and is expired, else none.',
    ['provider', 'key'],
  )
  const duplicates = metrics.counter('tidemark_webhook_duplicate_total', 'Events that had come before.', ['provider'])
  const stored = metrics.counter('tidemark_webhook_stored_total', 'Events that were stored.', ['provider', 'store'])
  const ack = metrics.histogram(
    'tidemark_webhook_ack_duration_seconds',
    'From the head of a delivery to its answer.',
    ['provider'],
    ackBuckets,
  )
  const size = metrics.histogram('tidemark_webhook_body_bytes', 'Size of the bodies.', ['provider'], sizeBuckets)
  const waiting = metrics.gauge('tidemark_webhook_signatures_waiting_entries', 'Signatures that wait to be checked.')
  return {
    received: (provider) => received.increment({ provider }),
    verified: (provider, key) => verified.increment({ provider, key }),
    rejected: (provider, reason) => rejected.increment({ provider, reason }),
    unconfirmed: (provider, key = 'none') => failures.increment({ provider, key }),
    kept: (provider, where) => {
      if (where === 'duplicate') duplicates.increment({ provider })
      else if (where !== 'nowhere') stored.increment({ provider, store: where })
    },
    answered: (provider, seconds) => ack.observe(seconds, { provider }),
    body: (provider, bytes) => size.observe(bytes, { provider }),
    waiting: (signatures) => waiting.set(signatures),
  }
}

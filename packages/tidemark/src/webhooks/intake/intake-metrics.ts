import type { Counter, Labels, LabelValues, Metrics } from '../../observability/observability.js'
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

/** Counts what happens within a turn of the event loop, and adds it up at its end: many deliveries then cost as much as one. */
const gathered = <L extends string>(counter: Counter<L>) => {
  const counts = new Map<string, { readonly labels: LabelValues<L>; times: number }>()
  const addUp = (): void => {
    for (const { labels, times } of counts.values()) counter.add(times, ...([labels] as unknown as Labels<L>))
    counts.clear()
  }
  return (labels: LabelValues<L>, key: string): void => {
    const known = counts.get(key)
    if (known) {
      known.times += 1
      return
    }
    if (counts.size === 0) setImmediate(addUp)
    counts.set(key, { labels, times: 1 })
  }
}

const ackBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
const sizeBuckets = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576]

export const createIntakeMetrics = (metrics: Metrics): IntakeMetrics => {
  const received = gathered(metrics.counter('tidemark_webhook_received_total', 'Deliveries that came.', ['provider']))
  const verified = gathered(
    metrics.counter('tidemark_webhook_verified_total', 'Deliveries that a key confirmed.', ['provider', 'key']),
  )
  const rejected = gathered(
    metrics.counter('tidemark_webhook_rejected_total', 'Deliveries that were not accepted.', ['provider', 'reason']),
  )
  const failures = gathered(
    metrics.counter(
      'tidemark_webhook_signature_failures_total',
      'Signatures that no good key confirmed; key is one that did and is expired, else none.',
      ['provider', 'key'],
    ),
  )
  const duplicates = gathered(metrics.counter('tidemark_webhook_duplicate_total', 'Events that had come before.', ['provider']))
  const stored = gathered(metrics.counter('tidemark_webhook_stored_total', 'Events that were stored.', ['provider', 'store']))
  const ack = metrics.histogram(
    'tidemark_webhook_ack_duration_seconds',
    'From the head of a delivery to its answer.',
    ['provider'],
    ackBuckets,
  )
  const size = metrics.histogram('tidemark_webhook_body_bytes', 'Size of the bodies.', ['provider'], sizeBuckets)
  const waiting = metrics.gauge('tidemark_webhook_signatures_waiting_entries', 'Signatures that wait to be checked.')
  let shownWaiting = 0
  return {
    received: (provider) => received({ provider }, provider),
    verified: (provider, key) => verified({ provider, key }, `${provider} ${key}`),
    rejected: (provider, reason) => rejected({ provider, reason }, `${provider} ${reason}`),
    unconfirmed: (provider, key = 'none') => failures({ provider, key }, `${provider} ${key}`),
    kept: (provider, where) => {
      if (where === 'duplicate') duplicates({ provider }, provider)
      else if (where !== 'nowhere') stored({ provider, store: where }, `${provider} ${where}`)
    },
    answered: (provider, seconds) => ack.observe(seconds, { provider }),
    body: (provider, bytes) => size.observe(bytes, { provider }),
    waiting: (signatures) => {
      if (signatures === shownWaiting) return
      shownWaiting = signatures
      waiting.set(signatures)
    },
  }
}

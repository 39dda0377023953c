import type { Provider } from '../providers/provider.js'

/** Why a delivery was not accepted. */
export type Rejection =
  | 'unknown_provider'
  | 'content_encoding'
  | 'too_large'
  | 'too_slow'
  | 'aborted'
  | 'empty'
  | 'malformed'
  | 'missing_signature'
  | 'malformed_signature'
  | 'bad_signature'
  | 'expired_key'
  | 'unknown_tenant'
  | 'outside_window'
  | 'rate_limited'
  | 'busy'
  | 'unstored'

export interface Answer {
  readonly status: number
  readonly body: { readonly status: 'accepted' } | { readonly error: string }
  readonly retryAfterSeconds?: number
  /** What is left of the body is not read: the connection ends. */
  readonly close?: true
}

export const accepted: Answer = { status: 202, body: { status: 'accepted' } }

/** Whatever is wrong with a signature, its key or its account: it is told in one way. */
const unbelieved: Answer = { status: 401, body: { error: 'Invalid webhook signature' } }

const retryAfterSeconds = 5

const answers = {
  unknown_provider: { status: 404, body: { error: 'Unknown webhook provider' }, close: true },
  content_encoding: { status: 415, body: { error: 'Unsupported content encoding' }, close: true },
  too_large: { status: 413, body: { error: 'Body too large' }, close: true },
  too_slow: { status: 408, body: { error: 'The body took too long' }, close: true },
  // Nobody is there to read it.
  aborted: { status: 400, body: { error: 'The body ended early' }, close: true },
  empty: { status: 400, body: { error: 'Empty body' } },
  malformed: { status: 400, body: { error: 'Malformed JSON' } },
  missing_signature: { ...unbelieved, close: true },
  malformed_signature: { ...unbelieved, close: true },
  bad_signature: unbelieved,
  expired_key: unbelieved,
  unknown_tenant: unbelieved,
  outside_window: unbelieved,
} as const satisfies Readonly<Partial<Record<Rejection, Answer>>>

const unavailable = (status: number, seconds = retryAfterSeconds): Answer => ({
  status,
  body: { error: 'Temporarily unavailable' },
  retryAfterSeconds: seconds,
})

/** The answer that says it; where a later try may succeed, the one that makes this provider try. */
export const answerOf = (rejection: Rejection, provider: Pick<Provider, 'onOutage'> | undefined, waitMs?: number): Answer => {
  if (rejection === 'busy' || rejection === 'unstored') return unavailable(provider?.onOutage ?? 503)
  if (rejection === 'rate_limited') return { ...unavailable(429, Math.ceil((waitMs ?? 0) / 1000) || 1), close: true }
  return answers[rejection]
}

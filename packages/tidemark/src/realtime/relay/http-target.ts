import { isTidemarkError, reasonOf, TidemarkError } from '../../errors.js'
import { parseRetryAfter } from '../../resilience/retry.js'
import { withTimeout } from '../../resilience/with-timeout.js'

export interface SendOptions {
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Answers that another attempt, or other credentials, may change. All others say that the message itself is at fault. */
const passing = (status: number): boolean => status >= 500 || [401, 402, 403, 404, 407, 408, 425, 429].includes(status)

const failed = (target: string, reason: string, cause?: unknown): TidemarkError =>
  new TidemarkError('TM_REALTIME_RELAY_FAILED', { target, reason }, { cause })

const refusalOf = (target: string, response: Response): Error => {
  if (!passing(response.status)) return new TidemarkError('TM_REALTIME_RELAY_REFUSED', { target, status: response.status })
  const error = failed(target, `it answered ${response.status}`)
  const waitMs = parseRetryAfter(response.headers.get('retry-after') ?? '')
  return waitMs === undefined ? error : Object.assign(error, { retryAfterMs: Math.min(waitMs, 60_000) })
}

const post = async (url: string, { body, headers = {} }: SendOptions, signal: AbortSignal): Promise<Response> => {
  const response = await fetch(url, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
    redirect: 'error',
    signal,
  })
  // To its end, so that the connection can be used again.
  await response.arrayBuffer()
  return response
}

/** Posts JSON. What the target answers is not repeated in errors, nor is its address: one may quote what was sent, the other holds keys. */
export const sendTo = async (target: string, url: string, options: SendOptions): Promise<void> => {
  const { timeoutMs, signal } = options
  const response = await withTimeout((inner) => post(url, options, inner), { timeoutMs, signal }).catch((error: unknown) => {
    signal.throwIfAborted()
    if (isTidemarkError(error, 'TM_TIME_TIMEOUT')) throw failed(target, `no answer within ${timeoutMs} ms`)
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw failed(target, reasonOf(cause), cause)
  })
  if (!response.ok) throw refusalOf(target, response)
}

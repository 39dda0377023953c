/** Another system over HTTP: within its limits, not while it is sick, and with a key by which it knows a call that comes twice. */
import type { Guard } from '../resilience/guard.js'
import { parseRetryAfter } from '../resilience/retry.js'

/** Why a call came to nothing. Never holds what was sent or what came back. */
export class CallError extends Error {
  readonly code: 'REFUSED' | 'SICK' | 'THROTTLED' | 'UNREACHABLE' | 'UNREADABLE'
  /** Another try may help. */
  readonly retryable: boolean
  readonly retryAfterMs: number
  readonly status: number | undefined

  constructor(
    code: CallError['code'],
    message: string,
    {
      status,
      retryAfterMs = 0,
      cause,
    }: { readonly status?: number; readonly retryAfterMs?: number; readonly cause?: unknown } = {},
  ) {
    super(message, { cause })
    this.name = 'CallError'
    this.code = code
    this.retryable = code !== 'REFUSED'
    this.retryAfterMs = retryAfterMs
    this.status = status
  }
}

export interface HttpServiceOptions {
  /** Names it in errors and logs; stands before each call. */
  readonly guard: Guard
  /** Paths go below it. */
  readonly url: string
  /** Secrets travel here, never in addresses. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly body?: unknown
  /** The same for the same call, however often it is made. */
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

export interface HttpService {
  readonly service: string
  readonly guard: Guard
  /** JSON that came back; undefined where nothing did, null for a 404. Raises {@link CallError}, TM_RESILIENCE_*, TM_TIME_TIMEOUT. */
  call(call: HttpCall): Promise<unknown>
}

/** No answer of such a system is longer. */
const longestAnswer = 1024 ** 2

const errorOf = (service: string, response: Response): CallError => {
  const { status } = response
  const retryAfterMs = parseRetryAfter(response.headers.get('retry-after') ?? '') ?? 0
  const message = `${service} answered with ${status}.`
  if (status === 429) return new CallError('THROTTLED', message, { status, retryAfterMs: retryAfterMs || 1000 })
  if (status >= 500 || status === 408 || status === 425) return new CallError('SICK', message, { status, retryAfterMs })
  return new CallError('REFUSED', message, { status })
}

const readJson = async (service: string, response: Response): Promise<unknown> => {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > longestAnswer) throw new CallError('UNREADABLE', `${service} answered with too much.`)
    chunks.push(chunk)
  }
  if (bytes === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch (cause) {
    throw new CallError('UNREADABLE', `${service} answered with what is no JSON.`, { cause })
  }
}

const addressOf = (url: string, path: string): string => `${url.replace(/\/+$/, '')}${path}`

/**
 * Calls another system over HTTP behind a guard: JSON both ways, no redirects, at most as much of an answer as is bounded. Raises
 * {@link CallError}, and what the guard raises where it lets nothing through.
 */
export const createHttpService = ({ guard, url, headers = {} }: HttpServiceOptions): HttpService => {
  const { service } = guard

  const send = async ({ method, path, body, key, headers: more }: HttpCall, signal: AbortSignal): Promise<unknown> => {
    const response = await fetch(addressOf(url, path), {
      method,
      signal,
      // Headers with secrets go where they were meant to go.
      redirect: 'error',
      headers: {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(key !== undefined && { 'idempotency-key': key }),
        ...headers,
        ...more,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).catch((cause: unknown) => {
      signal.throwIfAborted()
      throw new CallError('UNREACHABLE', `${service} cannot be reached.`, { cause })
    })
    if (response.ok) return readJson(service, response)
    await response.body?.cancel()
    if (response.status === 404 && method === 'GET') return null
    throw errorOf(service, response)
  }

  return {
    service,
    guard,
    // Each attempt is written down by whoever calls, so that none is made here by itself.
    call: (call) => guard.run((signal) => send(call, signal), call.signal ? { signal: call.signal } : {}),
  }
}

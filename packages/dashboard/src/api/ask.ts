import type { AdminApi, AdminError } from 'tidemark/admin'

/** What went wrong, in the words of the server. */
export class AskError extends Error {
  readonly status: number
  readonly code: string
  readonly fix: string | undefined

  constructor(status: number, { code, message, fix }: AdminError, options?: ErrorOptions) {
    super(message, options)
    this.name = 'AskError'
    this.status = status
    this.code = code
    this.fix = fix
  }
}

export type Path = keyof AdminApi
export type Answer<P extends Path> = AdminApi[P]['answer']
type Part<P extends Path, K extends string> = AdminApi[P] extends { readonly [key in K]: infer T }
  ? { readonly [key in K]: T }
  : unknown
/** What a path is asked with: `query`, `body`, and `params` for what stands in its place. */
export type Input<P extends Path> = Part<P, 'query'> & Part<P, 'body'> & Part<P, 'params'>

export interface AskOptions {
  readonly signal?: AbortSignal | undefined
  /** For what takes long: the answer is the job that does it. */
  readonly asJob?: boolean
}

interface AnyInput {
  readonly query?: Readonly<Record<string, unknown>>
  readonly body?: unknown
  readonly params?: Readonly<Record<string, string>>
}

export interface HttpRequest {
  readonly method: string
  /** From `/admin/v1` on. */
  readonly path: string
  readonly body: unknown
}

/** The request behind a question: what is sent, and what "copy as curl" writes. */
export const requestOf = <P extends Path>(path: P, input: Input<P>): HttpRequest => {
  const { query = {}, body, params = {} } = input as AnyInput
  const [method = 'GET', template = ''] = path.split(' ')
  const filled = template.replace(/:(\w+)/g, (_whole, name: string) => encodeURIComponent(params[name] ?? ''))
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [[name, String(value)] as [string, string]],
  )
  const search = new URLSearchParams(given).toString()
  return { method, path: `/admin/v1${filled}${search === '' ? '' : `?${search}`}`, body }
}

/** Proves that a write comes from this page, and from no other that a browser has open. */
let csrf: string | undefined

export const keepCsrf = (token: string | undefined): void => {
  csrf = token
}

const unreachable: AdminError = {
  code: 'TM_DASHBOARD_OFFLINE',
  message: 'The server does not answer.',
  fix: 'Look whether it still runs: npx tidemark status. This page goes on by itself when it answers again.',
}

const errorOf = async (response: Response): Promise<AskError> => {
  const told = (await response.json().catch(() => undefined)) as { readonly error?: AdminError } | undefined
  const { error } = told ?? {}
  return new AskError(
    response.status,
    error ?? { code: `HTTP_${response.status}`, message: `The server answered with status ${response.status}.` },
  )
}

const send = async <P extends Path>(path: P, input: Input<P>, options: AskOptions): Promise<Answer<P>> => {
  const { method, path: address, body } = requestOf(path, input)
  const response = await fetch(address, {
    method,
    credentials: 'same-origin',
    headers: {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(method !== 'GET' && csrf !== undefined && { 'x-tidemark-csrf': csrf }),
      ...(options.asJob && { prefer: 'respond-async' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(options.signal && { signal: options.signal }),
  }).catch((cause: unknown) => {
    if (options.signal?.aborted) throw cause
    throw new AskError(0, unreachable, { cause })
  })
  if (!response.ok) throw await errorOf(response)
  return (await response.json()) as Answer<P>
}

/** Asks the server. Raises {@link AskError}. */
export const ask = async <P extends Path>(path: P, input: Input<P>, options: AskOptions = {}): Promise<Answer<P>> => {
  try {
    return await send(path, input, options)
  } catch (error) {
    // Signed in anew in another tab: the cookie is of that session, the proof still of the last one.
    if (!(error instanceof AskError) || error.code !== 'TM_SERVER_CSRF') throw error
    keepCsrf((await send('GET /session', {}, options)).csrf)
    return send(path, input, options)
  }
}

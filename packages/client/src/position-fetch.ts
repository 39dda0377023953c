import { laterOf, type Position } from './position.js'

export type Fetch = typeof fetch

const header = 'tidemark-position'
const reads = ['GET', 'HEAD']

const methodOf = (input: RequestInfo | URL, init: RequestInit | undefined): string =>
  (init?.method ?? (input instanceof Request ? input.method : 'GET')).toUpperCase()

const urlOf = (input: RequestInfo | URL): string => (input instanceof Request ? input.url : String(input))

/** Carries positions to one server and back. */
export interface PositionFetch {
  readonly fetch: Fetch
  /** What the last answer to a request with this signal said. */
  positionOf(signal: AbortSignal): Position | undefined
  /** Of the last write: whoever reads with it sees that write. */
  readonly token: Position | undefined
}

/**
 * A `fetch` that hands the position of the last write to every request that goes to the server (read your own writes). It says nothing to a
 * server that has never named a position.
 */
export const createPositionFetch = (url: string, inner: Fetch = (...args) => fetch(...args)): PositionFetch => {
  const { origin } = new URL(url)
  const bySignal = new WeakMap<AbortSignal, Position>()
  let token: Position | undefined
  /** The last one that was heard of: a server tells the position of a write to those who name one. */
  let heard: Position | undefined

  const carry: Fetch = async (input, init) => {
    if (new URL(urlOf(input), url).origin !== origin) return inner(input, init)
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined))
    const isRead = reads.includes(methodOf(input, init))
    const named = token ?? (isRead ? undefined : heard)
    if (named !== undefined && !headers.has(header)) headers.set(header, named)
    const answer = await inner(input, { ...init, headers })
    const position = answer.headers.get(header)
    if (position !== null) {
      heard = position
      if (init?.signal) bySignal.set(init.signal, position)
      if (!isRead) token = laterOf(token, position)
    }
    return answer
  }

  return {
    fetch: carry,
    positionOf: (signal) => bySignal.get(signal),
    get token() {
      return token
    },
  }
}

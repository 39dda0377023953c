import type { Media, Preferences } from '../query.js'

/** What running a request gave. */
export interface RestResult {
  /** The form of the body: the first of the accepted ones that could be made. */
  readonly media: Media
  /** In that form. Undefined where nobody wants one: HEAD, `return=minimal`, a function that returns nothing. */
  readonly body: string | Buffer | undefined
  /** In the body, or written where there is none. */
  readonly rows: number
  /** On all pages, where `count=` asked for it. */
  readonly total: number | undefined
  /** Of `rows`, those that were not there before: tells an insert from an update in an upsert. Undefined elsewhere. */
  readonly inserted: number | undefined
  /** The key of the one row that was inserted, for `return=headers-only`: columns and values as text. */
  readonly location: readonly (readonly [column: string, value: string | null])[] | undefined
  /** A function that returns void. */
  readonly nothing: boolean
  /** `response.headers` and `response.status` as the transaction left them; undefined where they are not set or empty. */
  readonly responseHeaders: string | undefined
  readonly responseStatus: string | undefined
  /** Of the request's preferences, those that were honoured. */
  readonly preferences: Preferences
}

/** What goes back over HTTP. */
export interface RestAnswer {
  readonly status: number
  /** The reason phrase, where a function of the database chose one. */
  readonly statusText: string | undefined
  /** Several values where a header comes several times. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: string | Buffer | undefined
}

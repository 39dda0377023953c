/** Who asks: what a verified token, or a project key, says about the sender of a request. */
export interface Caller {
  /** The Postgres role that the request acts as. Only a role that the login may become; Postgres has the last word. */
  readonly role: string
  /** What `request.jwt.claims` holds: the claims of the token as they were signed. Of an opaque key, its role alone. */
  readonly claims: Readonly<Record<string, unknown>>
}

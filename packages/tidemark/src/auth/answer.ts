/** What a flow answers: JSON with status 200 unless it says otherwise. */
export interface AuthAnswer {
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer that says nothing, not even whether there is such a user. */
export const nothing: AuthAnswer = { body: {} }

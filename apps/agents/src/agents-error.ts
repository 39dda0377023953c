import { sqlstateOf } from 'tidemark'

/** What the app refuses, by code: its HTTP status, and what the caller is told. */
export const agentsErrors = {
  AGENTS_UNAUTHENTICATED: { status: 401, message: 'A valid bearer token is needed.' },
  AGENTS_FORBIDDEN: { status: 403, message: 'Only the service itself may do this.' },
  AGENTS_NOT_FOUND: { status: 404, message: 'There is no such agent or task.' },
  AGENTS_INVALID: { status: 422, message: 'The request is not valid.' },
  AGENTS_MALFORMED: { status: 400, message: 'The request cannot be read.' },
  AGENTS_TAKEN: { status: 409, message: 'That id is in use.' },
  AGENTS_ILLEGAL_MOVE: { status: 409, message: 'It cannot go from its state to that one.' },
  AGENTS_NOT_READY: { status: 409, message: 'The agent is not ready for a task: only an idle one takes one.' },
  AGENTS_UNAVAILABLE: { status: 503, message: 'The agents cannot be reached for the moment. Try again.' },
  AGENTS_FAILED: { status: 500, message: 'Something went wrong here. Try again in a moment.' },
} as const satisfies Readonly<Record<string, { readonly status: number; readonly message: string }>>

export type AgentsErrorCode = keyof typeof agentsErrors

export class AgentsError extends Error {
  readonly code: AgentsErrorCode

  /** `message` stands in for the code's own; it never quotes what was sent. */
  constructor(code: AgentsErrorCode, message: string = agentsErrors[code].message, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = 'AgentsError'
    this.code = code
  }

  get status(): number {
    return agentsErrors[this.code].status
  }
}

/** Gives what Postgres refuses its name; other errors pass. */
export const refusing = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work
  } catch (error) {
    const state = sqlstateOf(error)
    if (state === '23505') throw new AgentsError('AGENTS_TAKEN', undefined, { cause: error })
    if (state === 'PT409') throw new AgentsError('AGENTS_ILLEGAL_MOVE', undefined, { cause: error })
    if (state === '23514' || state === '22003' || state === '22P05' || state === '22021')
      throw new AgentsError('AGENTS_INVALID', 'A value is out of its bounds.', { cause: error })
    throw error
  }
}

import { defineErrors } from 'tidemark/app'

const outOfBounds = { code: 'AGENTS_INVALID', message: 'A value is out of its bounds.' } as const

/** What the app refuses, by code: its HTTP status, and what the caller is told; and which of them is what Postgres refuses. */
export const AgentsError = defineErrors(
  'AGENTS',
  {
    FORBIDDEN: { status: 403, message: 'Only the service itself may do this.' },
    NOT_FOUND: { status: 404, message: 'There is no such agent or task.' },
    INVALID: { status: 422, message: 'The request is not valid.' },
    MALFORMED: { status: 400, message: 'The request cannot be read.' },
    TAKEN: { status: 409, message: 'That id is in use.' },
    ILLEGAL_MOVE: { status: 409, message: 'It cannot go from its state to that one.' },
    NOT_READY: { status: 409, message: 'The agent is not ready for a task: only an idle one takes one.' },
    UNAVAILABLE: { status: 503, message: 'The agents cannot be reached for the moment. Try again.' },
  },
  {
    '23505': 'AGENTS_TAKEN',
    PT409: 'AGENTS_ILLEGAL_MOVE',
    '23514': outOfBounds,
    '22003': outOfBounds,
    '22P05': outOfBounds,
    '22021': outOfBounds,
  },
)

export const { refusing } = AgentsError

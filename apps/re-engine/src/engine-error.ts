import { defineErrors } from 'tidemark/app'

const outOfBounds = { code: 'ENGINE_INVALID', message: 'A value is out of its bounds.' } as const

/** What the app refuses, by code: its HTTP status, and what the caller is told; and which of them is what Postgres refuses. */
export const EngineError = defineErrors(
  'ENGINE',
  {
    FORBIDDEN: { status: 403, message: 'This is for whose lead it is, or for an admin.' },
    SELF_APPROVAL: { status: 403, message: 'Who wrote it does not approve it.' },
    NOT_FOUND: { status: 404, message: 'There is no such lead, agent, approval or event.' },
    INVALID: { status: 422, message: 'The request is not valid.' },
    DO_NOT_CONTACT: { status: 422, message: 'The lead is not to be contacted.' },
    MALFORMED: { status: 400, message: 'The request cannot be read.' },
    ILLEGAL_MOVE: { status: 409, message: 'It cannot go from its state to that one.' },
    DUPLICATE: { status: 409, message: 'There is one with that e-mail address or phone number.' },
    CHANGED: { status: 409, message: 'It has changed since it was read. Read it again.' },
    AGENT_BUSY: { status: 409, message: 'The agent takes no further leads.' },
    NOT_CONFIGURED: { status: 409, message: 'No service that sends messages is configured.' },
    UNAVAILABLE: { status: 503, message: 'The leads cannot be reached for the moment. Try again.' },
  },
  {
    PT409: 'ENGINE_ILLEGAL_MOVE',
    PT422: 'ENGINE_DO_NOT_CONTACT',
    PT403: 'ENGINE_SELF_APPROVAL',
    '23505': 'ENGINE_DUPLICATE',
    // A policy of row security refuses the row, or a column is not the caller's to write.
    '42501': 'ENGINE_FORBIDDEN',
    // A lead, an agent or an approval that is named is not there.
    '23503': 'ENGINE_NOT_FOUND',
    '22001': outOfBounds,
    '22003': outOfBounds,
    '22008': outOfBounds,
    '22023': outOfBounds,
    '23514': outOfBounds,
  },
)

export const { refusing } = EngineError

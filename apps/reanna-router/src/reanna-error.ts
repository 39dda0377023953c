import { defineErrors } from 'tidemark/app'

const outOfBounds = { code: 'REANNA_INVALID', message: 'A value is out of its bounds.' } as const

/** What the app refuses, by code: its HTTP status, and what the caller is told; and which of them is what Postgres refuses. */
export const ReannaError = defineErrors(
  'REANNA',
  {
    FORBIDDEN: { status: 403, message: 'Only an admin may do this, or whose tour it is.' },
    NOT_FOUND: { status: 404, message: 'There is no such tour, visit, task or feedback.' },
    INVALID: { status: 422, message: 'The request is not valid.' },
    MALFORMED: { status: 400, message: 'The request cannot be read.' },
    ILLEGAL_MOVE: { status: 409, message: 'It cannot go from its state to that one.' },
    OPEN_VISITS: {
      status: 409,
      message: 'A tour is completed once every visit is: complete, skip or cancel them, or send force.',
    },
    TAKEN: { status: 409, message: 'That is there already.' },
    RATE_LIMITED: { status: 429, message: 'Too many requests. Wait as long as Retry-After says.' },
    NOT_CONFIGURED: { status: 409, message: 'No CRM is configured to tell of it.' },
    ELSEWHERE: {
      status: 503,
      message: 'The tours take no changes here for the moment: they live in the SQLite file. Reading goes on.',
    },
    UNAVAILABLE: { status: 503, message: 'The tours cannot be reached for the moment. Try again.' },
  },
  {
    // A fence of the move stands before the tables.
    TM001: 'REANNA_ELSEWHERE',
    PT409: 'REANNA_ILLEGAL_MOVE',
    '23505': 'REANNA_TAKEN',
    // A policy of row security refuses the row.
    '42501': 'REANNA_FORBIDDEN',
    '23514': outOfBounds,
    '22003': outOfBounds,
    '22008': outOfBounds,
  },
)

export const { refusing } = ReannaError

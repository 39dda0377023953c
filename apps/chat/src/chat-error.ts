import { defineErrors } from 'tidemark/app'

const noPosition = { code: 'CHAT_INVALID', message: 'Tidemark-Position is no position of this chat.' } as const

/** What the chat refuses, by code: its HTTP status, and what the caller is told. */
export const ChatError = defineErrors(
  'CHAT',
  {
    FORBIDDEN: { status: 403, message: 'A user writes messages of the role user, and edits only those.' },
    NOT_FOUND: { status: 404, message: 'There is no such chat.' },
    MESSAGE_NOT_FOUND: { status: 404, message: 'There is no such message.' },
    NOT_DELETED: { status: 409, message: 'The chat is not deleted.' },
    UNDO_OVER: { status: 410, message: 'The chat was deleted too long ago to be taken back.' },
    MESSAGE_DELETED: { status: 409, message: 'The message was deleted.' },
    CLIENT_ID_TAKEN: { status: 409, message: 'Another message of this chat has that client_message_id.' },
    UNAVAILABLE: { status: 503, message: 'The chat cannot be reached for the moment. Try again.' },
  },
  { TM_FEED_POSITION: noPosition, TM_FEED_EPOCH: { ...noPosition, status: 409 } },
)

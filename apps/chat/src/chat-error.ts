/** What the chat refuses, by code: its HTTP status, and what the caller is told. */
export const chatErrors = {
  CHAT_UNAUTHENTICATED: { status: 401, message: 'A valid bearer token is needed.' },
  CHAT_FORBIDDEN: { status: 403, message: 'A user writes messages of the role user, and edits only those.' },
  CHAT_NOT_FOUND: { status: 404, message: 'There is no such chat.' },
  CHAT_MESSAGE_NOT_FOUND: { status: 404, message: 'There is no such message.' },
  CHAT_INVALID: { status: 400, message: 'The request is not valid.' },
  CHAT_NOT_DELETED: { status: 409, message: 'The chat is not deleted.' },
  CHAT_UNDO_OVER: { status: 410, message: 'The chat was deleted too long ago to be taken back.' },
  CHAT_MESSAGE_DELETED: { status: 409, message: 'The message was deleted.' },
  CHAT_CLIENT_ID_TAKEN: { status: 409, message: 'Another message of this chat has that client_message_id.' },
  CHAT_UNAVAILABLE: { status: 503, message: 'The chat cannot be reached for the moment. Try again.' },
  CHAT_FAILED: { status: 500, message: 'Something went wrong here. Try again in a moment.' },
} as const satisfies Readonly<Record<string, { readonly status: number; readonly message: string }>>

export type ChatErrorCode = keyof typeof chatErrors

export class ChatError extends Error {
  readonly code: ChatErrorCode

  /** `message` stands in for the code's own; it never quotes what a user wrote. */
  constructor(code: ChatErrorCode, message: string = chatErrors[code].message, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = 'ChatError'
    this.code = code
  }

  get status(): number {
    return chatErrors[this.code].status
  }
}

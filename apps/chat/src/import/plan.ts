/**
 * What becomes of a chat in Redis.
 *
 *   key chat:{id} ─► parse ─► planned: a session and its messages, with notes on what had to be changed or left
 *                        └──► rejected: nothing of it goes in; its bytes are kept with the reason
 */
import type { Metadata } from '../limits.js'
import type { Role } from '../rows.js'

/** What was found. Each is counted in the report, and but for the last four kept in `chat_import_rejects` with its bytes. */
export const reasons = {
  broken_messages: 'messages is not JSON',
  messages_not_a_list: 'messages is no list',
  no_messages: 'there is no field messages',
  no_owner: 'no userId, and in no list of a user',
  not_utf8: 'it holds bytes that are no UTF-8',
  wrong_type: 'the key holds neither a hash nor JSON of a chat',
  key_too_long: 'the key is longer than 1,024 bytes',
  id_taken: 'a chat that came from elsewhere has the same id',
  unreadable: 'it could not be read',
  missing_hash: 'a list of a user names it, and there is no such chat',
  message_not_an_object: 'a message is no object',
  unknown_role: 'a message of an unknown role',
  content_unreadable: 'a message whose content is neither text nor parts',
  content_cut: 'content longer than 100,000 characters was cut',
  title_cut: 'a title longer than 200 characters was cut',
  metadata_left_out: 'other fields of more than 16,384 bytes were left out',
  characters_replaced: 'characters that Postgres cannot hold were replaced by U+FFFD',
  time_guessed: 'a createdAt that is no time was replaced',
  owner_differs: 'listed for another user than the one it names',
  not_listed: 'in no list of a user',
  anonymous_owner: 'the user is anonymous: nobody can sign in as its owner',
  role_mapped: 'a role of older days was mapped',
} as const

export type Reason = keyof typeof reasons

/** Counted only: nothing was lost by it. */
export const countedOnly: ReadonlySet<Reason> = new Set(['owner_differs', 'not_listed', 'anonymous_owner', 'role_mapped'])

export interface Note {
  readonly key: string
  /** Nothing for the whole chat, `[n]` for its message n, or the field's name. */
  readonly item: string
  readonly reason: Reason
  readonly outcome: 'rejected' | 'changed'
  readonly bytes: Buffer | null
}

export interface PlannedMessage {
  readonly id: string
  readonly role: Role
  readonly content: string
  readonly metadata: Metadata
  readonly createdAt: Date
}

export interface PlannedChat {
  readonly key: string
  readonly id: string
  readonly userId: string
  readonly title: string
  readonly metadata: Metadata
  readonly createdAt: Date
  readonly messages: readonly PlannedMessage[]
  /** Elements of the list that are no message of the plan. */
  readonly rejectedMessages: number
  readonly notes: readonly Note[]
}

export interface RejectedChat {
  readonly key: string
  readonly notes: readonly Note[]
}

export type Parsed =
  | { readonly kind: 'planned'; readonly chat: PlannedChat }
  | { readonly kind: 'rejected'; readonly chat: RejectedChat }

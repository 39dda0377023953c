/** Messages in Postgres, in the order of their numbers. Whoever calls names the user. Raises {@link ChatError} and TM_POSTGRES_*. */
import { type RawBuilder, sql } from 'kysely'
import { runStatement } from 'tidemark/app'
import { actAs } from './act-as.js'
import type { MessagePage } from './answers.js'
import { ChatError } from './chat-error.js'
import { limits, type Metadata, requireClientMessageId, requireContent, requireMetadata, requirePage } from './limits.js'
import { type Db, type Message, type MessageRow, messageColumns, type Role, tables, toMessage } from './rows.js'

/** As it is selected beside its session `s`. */
const ofMessage = messageColumns.map((column) => `m.${column}` as const)

/** The session, where it is the user's and not deleted. */
const ownSession = (userId: string, sessionId: string) =>
  tables
    .selectFrom('chat_sessions as s')
    .where('s.id', '=', sessionId)
    .where('s.user_id', '=', userId)
    .where('s.status', '<>', 'deleted')

export interface PageOptions {
  /** Those with lower numbers, nearest first. */
  readonly before?: number | undefined
  /** Those with higher numbers, nearest first. */
  readonly after?: number | undefined
  readonly limit?: number | undefined
}

const pageOf = (rows: readonly MessageRow[], limit: number, isForward: boolean): MessagePage => {
  const messages = rows.slice(0, limit).map(toMessage)
  return { messages: isForward ? messages : messages.reverse(), has_more: rows.length > limit }
}

/** A page, the newest one by default; null where there is no such chat or it is somebody else's. */
export const messagePage = async (
  db: Db,
  userId: string,
  sessionId: string,
  { before, after, limit = limits.page }: PageOptions = {},
): Promise<MessagePage | null> => {
  requirePage(limit)
  if (before !== undefined && after !== undefined) throw new ChatError('CHAT_INVALID', 'before and after exclude each other.')
  const isForward = after !== undefined
  const edge = before ?? after
  const order = isForward ? 'asc' : 'desc'
  const page = ownSession(userId, sessionId)
    .leftJoinLateral(
      (of) =>
        of
          .selectFrom('chat_messages as c')
          .selectAll()
          .whereRef('c.session_id', '=', 's.id')
          .$if(edge !== undefined, (query) => query.where('c.seq', isForward ? '>' : '<', String(edge)))
          .orderBy('c.seq', order)
          .limit(limit + 1)
          .as('m'),
      (join) => join.onTrue(),
    )
    .select(ofMessage)
    .orderBy('m.seq', order)
  const { rows } = await runStatement(db, page)
  if (rows.length === 0) return null
  return pageOf(
    rows.filter(({ id }) => id !== null),
    limit,
    isForward,
  )
}

/** What a cache keeps of a chat's messages, whoever it belongs to: the newest page. Who answers with it asks for the session first. */
export const loadFirstPage = async (db: Db, sessionId: string): Promise<MessagePage> => {
  const newest = tables
    .selectFrom('chat_messages')
    .select(messageColumns)
    .where('session_id', '=', sessionId)
    .orderBy('seq', 'desc')
    .limit(limits.page + 1)
  return pageOf((await runStatement(db, newest)).rows, limits.page, false)
}

export interface NewMessage {
  readonly role: Role
  readonly content: string
  readonly clientMessageId?: string | undefined
  readonly metadata?: Metadata | undefined
}

export interface Appended {
  readonly message: Message
  /** False for a message that was there already: a retry. */
  readonly created: boolean
}

/** Refused by the trigger: between the look at the session and its lock somebody deleted it. */
const isUnnumbered = (error: unknown): boolean => {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
    if ('constraint' in cause && cause.constraint === 'chat_messages_numbered') return true
  return false
}

const insertMessage = async (db: Db, userId: string, sessionId: string, message: NewMessage): Promise<Message | undefined> => {
  const { role, content, clientMessageId, metadata = {} } = message
  const adding = tables
    .insertInto('chat_messages')
    .columns(['session_id', 'role', 'content', 'client_message_id', 'metadata'])
    .expression(
      ownSession(userId, sessionId).select(({ val }) => [
        's.id as session_id',
        val(role).as('role'),
        val(content).as('content'),
        val(clientMessageId ?? null).as('client_message_id'),
        val(JSON.stringify(metadata)).as('metadata'),
      ]),
    )
    .returning(messageColumns)
  try {
    const { rows } = await runStatement(db, adding)
    return rows[0] && toMessage(rows[0])
  } catch (error) {
    throw isUnnumbered(error) ? new ChatError('CHAT_NOT_FOUND', undefined, { cause: error }) : error
  }
}

const findByClientId = async (db: Db, userId: string, sessionId: string, id: string): Promise<Message | undefined> => {
  const sent = ownSession(userId, sessionId)
    .innerJoin('chat_messages as m', 'm.session_id', 's.id')
    .select(ofMessage)
    .where('m.client_message_id', '=', id)
  const { rows } = await runStatement(db, sent)
  return rows[0] && toMessage(rows[0])
}

/** Since it was sent it may have been edited or deleted; only an untouched one can be compared. */
const isRetryOf = (found: Message, { role, content }: NewMessage): boolean =>
  found.role === role && (found.content === content || found.edited_at !== null || found.deleted_at !== null)

/** Adds a message at the end. The same `clientMessageId` sent again gives the message that is there. */
export const appendMessage = async (db: Db, userId: string, sessionId: string, message: NewMessage): Promise<Appended> => {
  requireContent(message.content)
  if (message.metadata !== undefined) requireMetadata(message.metadata)
  if (message.clientMessageId !== undefined) requireClientMessageId(message.clientMessageId)
  const added = await insertMessage(db, userId, sessionId, message)
  if (added) return { message: added, created: true }
  const found =
    message.clientMessageId === undefined ? undefined : await findByClientId(db, userId, sessionId, message.clientMessageId)
  if (!found) throw new ChatError('CHAT_NOT_FOUND')
  if (!isRetryOf(found, message)) throw new ChatError('CHAT_CLIENT_ID_TAKEN')
  return { message: found, created: false }
}

/** Locks the message; raises where the user has none such. The session goes first, as everywhere: whoever appends waits for it, too. */
const lockMessage = async (db: Db, userId: string, sessionId: string, messageId: string): Promise<Message> => {
  const session = await runStatement(db, ownSession(userId, sessionId).select('s.id').forUpdate())
  if (session.rows.length === 0) throw new ChatError('CHAT_NOT_FOUND')
  const message = tables
    .selectFrom('chat_messages')
    .select(messageColumns)
    .where('id', '=', messageId)
    .where('session_id', '=', sessionId)
    .forUpdate()
  const { rows } = await runStatement(db, message)
  if (!rows[0]) throw new ChatError('CHAT_MESSAGE_NOT_FOUND')
  return toMessage(rows[0])
}

const updateMessage = async (
  db: Db,
  messageId: string,
  change: { readonly content?: string; readonly deleted_at?: RawBuilder<Date> },
): Promise<Message> => {
  const changed = tables.updateTable('chat_messages').set(change).where('id', '=', messageId).returning(messageColumns)
  const { rows } = await runStatement(db, changed)
  return toMessage(rows[0]!)
}

/** Gives a user's message other words. In a transaction. */
export const editMessage = async (
  db: Db,
  userId: string,
  sessionId: string,
  messageId: string,
  content: string,
): Promise<Message> => {
  requireContent(content)
  const found = await lockMessage(db, userId, sessionId, messageId)
  if (found.deleted_at !== null) throw new ChatError('CHAT_MESSAGE_DELETED')
  if (found.role !== 'user') throw new ChatError('CHAT_FORBIDDEN')
  return found.content === content ? found : updateMessage(db, messageId, { content })
}

/** Takes a message's words away for good; its number stays. Once more changes nothing. In a transaction. */
export const deleteMessage = async (
  db: Db,
  userId: string,
  sessionId: string,
  messageId: string,
  requestId?: string,
): Promise<Message> => {
  await actAs(db, userId, requestId)
  const found = await lockMessage(db, userId, sessionId, messageId)
  if (found.deleted_at !== null) return found
  return updateMessage(db, messageId, { deleted_at: sql<Date>`now()` })
}

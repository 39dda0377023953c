/** Messages in Postgres, in the order of their numbers. Whoever calls names the user. Raises {@link ChatError} and TM_POSTGRES_*. */
import { actAs } from './act-as.js'
import { ChatError } from './chat-error.js'
import { limits, type Metadata, requireClientMessageId, requireContent, requireMetadata, requirePage } from './limits.js'
import { type Db, type Message, type MessageRow, messageColumns, type Role, toMessage } from './rows.js'

export interface MessagePage {
  /** Oldest first; deleted ones are there without words. */
  readonly messages: readonly Message[]
  /** Whether there are more in the direction that was asked for: older ones, or with `after` newer ones. */
  readonly has_more: boolean
}

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
  const { rows } = await db.query<MessageRow & { readonly id: string | null }>(
    `select ${messageColumns} from public.chat_sessions s left join lateral (
       select * from public.chat_messages c
        where c.session_id = s.id ${edge === undefined ? '' : `and c.seq ${isForward ? '>' : '<'} $4`}
        order by c.seq ${isForward ? 'asc' : 'desc'} limit $3) m on true
      where s.id = $1 and s.user_id = $2 and s.status <> 'deleted'
      order by m.seq ${isForward ? 'asc' : 'desc'}`,
    [sessionId, userId, limit + 1, ...(edge === undefined ? [] : [edge])],
  )
  if (rows.length === 0) return null
  return pageOf(
    rows.filter(({ id }) => id !== null),
    limit,
    isForward,
  )
}

/** What a cache keeps of a chat's messages, whoever it belongs to: the newest page. Who answers with it asks for the session first. */
export const loadFirstPage = async (db: Db, sessionId: string): Promise<MessagePage> => {
  const { rows } = await db.query<MessageRow>(
    `select ${messageColumns} from public.chat_messages m where m.session_id = $1 order by m.seq desc limit $2`,
    [sessionId, limits.page + 1],
  )
  return pageOf(rows, limits.page, false)
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
  const values = [sessionId, userId, role, content, clientMessageId ?? null, JSON.stringify(metadata)]
  try {
    const { rows } = await db.query<MessageRow>(
      `insert into public.chat_messages as m (session_id, role, content, client_message_id, metadata)
       select s.id, $3, $4, $5, $6 from public.chat_sessions s where s.id = $1 and s.user_id = $2 and s.status <> 'deleted'
       returning ${messageColumns}`,
      values,
    )
    return rows[0] && toMessage(rows[0])
  } catch (error) {
    throw isUnnumbered(error) ? new ChatError('CHAT_NOT_FOUND', undefined, { cause: error }) : error
  }
}

const findByClientId = async (db: Db, userId: string, sessionId: string, id: string): Promise<Message | undefined> => {
  const { rows } = await db.query<MessageRow>(
    `select ${messageColumns} from public.chat_messages m join public.chat_sessions s on s.id = m.session_id
      where m.session_id = $1 and m.client_message_id = $3 and s.user_id = $2 and s.status <> 'deleted'`,
    [sessionId, userId, id],
  )
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
  const session = await db.query(
    `select from public.chat_sessions s where s.id = $1 and s.user_id = $2 and s.status <> 'deleted' for update`,
    [sessionId, userId],
  )
  if (session.rowCount !== 1) throw new ChatError('CHAT_NOT_FOUND')
  const { rows } = await db.query<MessageRow>(
    `select ${messageColumns} from public.chat_messages m where m.id = $1 and m.session_id = $2 for update`,
    [messageId, sessionId],
  )
  if (!rows[0]) throw new ChatError('CHAT_MESSAGE_NOT_FOUND')
  return toMessage(rows[0])
}

const updateMessage = async (db: Db, messageId: string, set: string, values: readonly unknown[]): Promise<Message> => {
  const { rows } = await db.query<MessageRow>(
    `update public.chat_messages m set ${set} where m.id = $1 returning ${messageColumns}`,
    [messageId, ...values],
  )
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
  return found.content === content ? found : updateMessage(db, messageId, 'content = $2', [content])
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
  return updateMessage(db, messageId, 'deleted_at = now()', [])
}

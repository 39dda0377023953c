/** Sessions in Postgres. Whoever calls names the user; a chat of another user is none. Raises {@link ChatError} and TM_POSTGRES_*. */
import { type SqlBool, sql } from 'kysely'
import { placeOf, runStatement } from 'tidemark/app'
import { actAs } from './act-as.js'
import type { Deleted, SessionPage } from './answers.js'
import { ChatError } from './chat-error.js'
import { parsePlace } from './input.js'
import { limits, type Metadata, requireMetadata, requirePage, requireTitle } from './limits.js'
import { type Db, type Session, type SessionRow, type Status, sessionColumns, tables, toSession } from './rows.js'

export interface ListOptions {
  readonly status?: Status
  readonly limit?: number
  /** `next` of the page before. */
  readonly cursor?: string
}

const recency = sql`coalesce(last_message_at, created_at)`

/** Those that are not deleted. */
const there = tables.selectFrom('chat_sessions').where('status', '<>', 'deleted')

/** `next` of a page that ends with this session: its place in the order. */
export const cursorOf = ({ last_message_at, created_at, id }: Session): string => placeOf(last_message_at ?? created_at, id)

/** The user's chats, those with the newest messages first. */
export const recentSessions = async (db: Db, userId: string, options: ListOptions = {}): Promise<SessionPage> => {
  const { status = 'active', limit = limits.page, cursor } = options
  requirePage(limit)
  const [time, id] = parsePlace(cursor)
  const newest = tables
    .selectFrom('chat_sessions')
    .select(sessionColumns)
    .where('user_id', '=', userId)
    .where('status', '=', status)
    .$if(time !== null, (query) => query.where(sql<SqlBool>`(${recency}, id) < (${time}::timestamptz, ${id}::uuid)`))
    .orderBy(recency, 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
  const { rows } = await runStatement(db, newest)
  const chats = rows.slice(0, limit).map(toSession)
  return { chats, next: rows.length > limit ? cursorOf(chats.at(-1)!) : null }
}

const oneOrNull = async (db: Db, statement: Parameters<typeof runStatement<SessionRow>>[1]): Promise<Session | null> => {
  const [row] = (await runStatement(db, statement)).rows
  return row ? toSession(row) : null
}

const one = async (db: Db, statement: Parameters<typeof oneOrNull>[1]): Promise<Session> => {
  const session = await oneOrNull(db, statement)
  if (!session) throw new ChatError('CHAT_NOT_FOUND')
  return session
}

/** Null where there is none, where it is deleted, or where it is somebody else's. */
export const findSession = (db: Db, userId: string, id: string): Promise<Session | null> =>
  oneOrNull(db, there.select(sessionColumns).where('id', '=', id).where('user_id', '=', userId))

/** What a cache keeps of a session, whoever it belongs to: who answers with it looks at `user_id` first. */
export const loadSession = (db: Db, id: string): Promise<Session | null> =>
  oneOrNull(db, there.select(sessionColumns).where('id', '=', id))

export interface NewSession {
  readonly title?: string | undefined
  readonly metadata?: Metadata | undefined
}

export const createSession = async (db: Db, userId: string, { title, metadata = {} }: NewSession = {}): Promise<Session> => {
  if (title !== undefined) requireTitle(title)
  requireMetadata(metadata)
  const values = { user_id: userId, ...(title !== undefined && { title }), metadata: JSON.stringify(metadata) }
  return one(db, tables.insertInto('chat_sessions').values(values).returning(sessionColumns))
}

export interface SessionChange extends NewSession {
  /** `archived` puts it away, `active` brings it back. */
  readonly status?: Status | undefined
}

/** Renames, archives, brings back, or replaces the metadata; what is left out stays. */
export const changeSession = async (db: Db, userId: string, id: string, change: SessionChange): Promise<Session> => {
  const { title, status, metadata } = change
  if (title !== undefined) requireTitle(title)
  if (metadata !== undefined) requireMetadata(metadata)
  const changed = tables
    .updateTable('chat_sessions')
    .set(({ ref }) => ({
      title: title ?? ref('title'),
      status: status ?? ref('status'),
      metadata: metadata === undefined ? sql<string>`metadata` : JSON.stringify(metadata),
    }))
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .where('status', '<>', 'deleted')
    .returning(sessionColumns)
  return one(db, changed)
}

export interface DeleteOptions {
  /** How long it can be taken back. Default 30 days. */
  readonly undoMs?: number
  readonly requestId?: string
}

/** Deletes it so that it can be taken back; once more changes nothing. In a transaction, for the audit. */
export const deleteSession = async (db: Db, userId: string, id: string, options: DeleteOptions = {}): Promise<Deleted> => {
  const { undoMs = limits.undoMs, requestId } = options
  await actAs(db, userId, requestId)
  const deleting = tables
    .updateTable('chat_sessions')
    .set({ status: 'deleted', undo_until: sql<Date>`now() + ${undoMs} * interval '1 ms'` })
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .where('status', '<>', 'deleted')
  await runStatement(db, deleting)
  // A statement of its own: it sees what another deleted meanwhile.
  const deleted = tables
    .selectFrom('chat_sessions')
    .select('undo_until')
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .where('status', '=', 'deleted')
  const [row] = (await runStatement(db, deleted)).rows
  if (!row?.undo_until) throw new ChatError('CHAT_NOT_FOUND')
  return { id, undo_until: row.undo_until.toISOString() }
}

/** Brings a deleted chat back as it was. In a transaction, for the audit. */
export const undoDelete = async (db: Db, userId: string, id: string, requestId?: string): Promise<Session> => {
  await actAs(db, userId, requestId)
  const own = tables
    .selectFrom('chat_sessions')
    .select(['status', sql<boolean>`coalesce(undo_until <= now(), false)`.as('over')])
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .forUpdate()
  const [state] = (await runStatement(db, own)).rows
  if (!state) throw new ChatError('CHAT_NOT_FOUND')
  if (state.status !== 'deleted') throw new ChatError('CHAT_NOT_DELETED')
  if (state.over) throw new ChatError('CHAT_UNDO_OVER')
  const restored = tables
    .updateTable('chat_sessions')
    .set({ status: sql<Status>`deleted_from` })
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .returning(sessionColumns)
  return one(db, restored)
}

/** Removes at most so many deleted chats, with their messages, that can no longer be taken back. Gives how many. */
export const purgeSessions = async (db: Db, most = 100): Promise<number> => {
  const over = tables
    .selectFrom('chat_sessions')
    .select('id')
    .where('status', '=', 'deleted')
    .where('undo_until', '<=', sql<Date>`now()`)
    .orderBy('undo_until')
    .limit(most)
    .forUpdate()
    .skipLocked()
  const { rowCount } = await runStatement(db, tables.deleteFrom('chat_sessions').where('id', 'in', over))
  return rowCount ?? 0
}

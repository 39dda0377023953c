/** Sessions in Postgres. Whoever calls names the user; a chat of another user is none. Raises {@link ChatError} and TM_POSTGRES_*. */
import { placeOf } from 'tidemark/app'
import { actAs } from './act-as.js'
import { ChatError } from './chat-error.js'
import { parsePlace } from './input.js'
import { limits, type Metadata, requireMetadata, requirePage, requireTitle } from './limits.js'
import { type Db, type Session, type SessionRow, type Status, sessionColumns, toSession } from './rows.js'

export interface SessionPage {
  readonly chats: readonly Session[]
  /** For the page after this one; null where this is the last. */
  readonly next: string | null
}

export interface ListOptions {
  readonly status?: Status
  readonly limit?: number
  /** `next` of the page before. */
  readonly cursor?: string
}

const recency = 'coalesce(s.last_message_at, s.created_at)'

/** `next` of a page that ends with this session: its place in the order. */
export const cursorOf = ({ last_message_at, created_at, id }: Session): string => placeOf(last_message_at ?? created_at, id)

/** The user's chats, those with the newest messages first. */
export const recentSessions = async (db: Db, userId: string, options: ListOptions = {}): Promise<SessionPage> => {
  const { status = 'active', limit = limits.page, cursor } = options
  requirePage(limit)
  const [time, id] = parsePlace(cursor)
  const { rows } = await db.query<SessionRow>(
    `select ${sessionColumns} from public.chat_sessions s
      where s.user_id = $1 and s.status = $2 ${time === null ? '' : `and (${recency}, s.id) < ($4, $5::uuid)`}
      order by ${recency} desc, s.id desc limit $3`,
    [userId, status, limit + 1, ...(time === null ? [] : [time, id])],
  )
  const chats = rows.slice(0, limit).map(toSession)
  return { chats, next: rows.length > limit ? cursorOf(chats.at(-1)!) : null }
}

const one = (rows: readonly SessionRow[]): Session => {
  if (!rows[0]) throw new ChatError('CHAT_NOT_FOUND')
  return toSession(rows[0])
}

/** Null where there is none, where it is deleted, or where it is somebody else's. */
export const findSession = async (db: Db, userId: string, id: string): Promise<Session | null> => {
  const { rows } = await db.query<SessionRow>(
    `select ${sessionColumns} from public.chat_sessions s where s.id = $1 and s.user_id = $2 and s.status <> 'deleted'`,
    [id, userId],
  )
  return rows[0] ? toSession(rows[0]) : null
}

/** What a cache keeps of a session, whoever it belongs to: who answers with it looks at `user_id` first. */
export const loadSession = async (db: Db, id: string): Promise<Session | null> => {
  const { rows } = await db.query<SessionRow>(
    `select ${sessionColumns} from public.chat_sessions s where s.id = $1 and s.status <> 'deleted'`,
    [id],
  )
  return rows[0] ? toSession(rows[0]) : null
}

export interface NewSession {
  readonly title?: string | undefined
  readonly metadata?: Metadata | undefined
}

export const createSession = async (db: Db, userId: string, { title, metadata = {} }: NewSession = {}): Promise<Session> => {
  if (title !== undefined) requireTitle(title)
  requireMetadata(metadata)
  const { rows } = await db.query<SessionRow>(
    `insert into public.chat_sessions as s (user_id, title, metadata) values ($1, coalesce($2, 'New chat'), $3)
     returning ${sessionColumns}`,
    [userId, title ?? null, JSON.stringify(metadata)],
  )
  return one(rows)
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
  const { rows } = await db.query<SessionRow>(
    `update public.chat_sessions s
        set title = coalesce($3, s.title), status = coalesce($4, s.status), metadata = coalesce($5::jsonb, s.metadata)
      where s.id = $1 and s.user_id = $2 and s.status <> 'deleted' returning ${sessionColumns}`,
    [id, userId, title ?? null, status ?? null, metadata === undefined ? null : JSON.stringify(metadata)],
  )
  return one(rows)
}

export interface DeleteOptions {
  /** How long it can be taken back. Default 30 days. */
  readonly undoMs?: number
  readonly requestId?: string
}

export interface Deleted {
  readonly id: string
  readonly undo_until: string
}

/** Deletes it so that it can be taken back; once more changes nothing. In a transaction, for the audit. */
export const deleteSession = async (db: Db, userId: string, id: string, options: DeleteOptions = {}): Promise<Deleted> => {
  const { undoMs = limits.undoMs, requestId } = options
  await actAs(db, userId, requestId)
  await db.query(
    `update public.chat_sessions set status = 'deleted', undo_until = now() + $3 * interval '1 ms'
      where id = $1 and user_id = $2 and status <> 'deleted'`,
    [id, userId, undoMs],
  )
  // A statement of its own: it sees what another deleted meanwhile.
  const { rows } = await db.query<{ id: string; undo_until: Date }>(
    `select id, undo_until from public.chat_sessions where id = $1 and user_id = $2 and status = 'deleted'`,
    [id, userId],
  )
  if (!rows[0]) throw new ChatError('CHAT_NOT_FOUND')
  return { id: rows[0].id, undo_until: rows[0].undo_until.toISOString() }
}

/** Brings a deleted chat back as it was. In a transaction, for the audit. */
export const undoDelete = async (db: Db, userId: string, id: string, requestId?: string): Promise<Session> => {
  await actAs(db, userId, requestId)
  const found = await db.query<{ status: string; over: boolean }>(
    'select status, coalesce(undo_until <= now(), false) as over from public.chat_sessions where id = $1 and user_id = $2 for update',
    [id, userId],
  )
  const [state] = found.rows
  if (!state) throw new ChatError('CHAT_NOT_FOUND')
  if (state.status !== 'deleted') throw new ChatError('CHAT_NOT_DELETED')
  if (state.over) throw new ChatError('CHAT_UNDO_OVER')
  const { rows } = await db.query<SessionRow>(
    `update public.chat_sessions s set status = s.deleted_from where s.id = $1 and s.user_id = $2 returning ${sessionColumns}`,
    [id, userId],
  )
  return one(rows)
}

/** Removes at most so many deleted chats, with their messages, that can no longer be taken back. Gives how many. */
export const purgeSessions = async (db: Db, most = 100): Promise<number> => {
  const { rowCount } = await db.query(
    `delete from public.chat_sessions where id in (
       select id from public.chat_sessions where status = 'deleted' and undo_until <= now()
        order by undo_until limit $1 for update skip locked)`,
    [most],
  )
  return rowCount ?? 0
}

/** The reads that may be answered from a cache, and how they are answered without one. */
import type { Position } from 'tidemark'
import { type MessagePage, messagePage } from './messages.js'
import type { Db, Session } from './rows.js'
import { findSession, recentSessions, type SessionPage } from './sessions.js'

export interface ReadContext {
  /** The answer shows at least everything up to here: the position that a write of the caller's gave. */
  readonly after?: Position
}

export interface Read<T> {
  readonly value: T
  /** Whether Postgres was spared. */
  readonly cache: 'HIT' | 'MISS'
  /** Up to where the answer shows everything, where that is known. */
  readonly position?: Position
}

/** Every one checks the user: what belongs to another is null. Pages are of the default size. */
export interface ChatReads {
  /** Active chats, newest first. */
  listRecent(userId: string, context: ReadContext): Promise<Read<SessionPage>>
  session(userId: string, sessionId: string, context: ReadContext): Promise<Read<Session | null>>
  /** The newest messages. */
  firstPage(userId: string, sessionId: string, context: ReadContext): Promise<Read<MessagePage | null>>
}

const miss = async <T>(value: Promise<T>): Promise<Read<T>> => ({ value: await value, cache: 'MISS' })

/** Straight from the primary, which shows everything that was committed. */
export const createRepositoryReads = (db: Db): ChatReads => ({
  listRecent: (userId) => miss(recentSessions(db, userId)),
  session: (userId, sessionId) => miss(findSession(db, userId, sessionId)),
  firstPage: (userId, sessionId) => miss(messagePage(db, userId, sessionId)),
})

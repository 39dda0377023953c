/** The reads that may be answered from a cache, and how they are answered without one. */
import type { Answer, OpenCache, Position } from 'tidemark'
import type { ChatCaches } from './caches.js'
import { type MessagePage, messagePage } from './messages.js'
import type { Db, Session } from './rows.js'
import { findSession, recentSessions, type SessionPage } from './sessions.js'
import type { Viewers } from './viewers.js'

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

/** From caches, which change by change show what the repository would. */
export const createCachedReads = (cache: Pick<OpenCache<ChatCaches>, 'entries' | 'position'>, viewers: Viewers): ChatReads => {
  const { recent, active, messages } = cache.entries
  const told = <T, U = T>({ value, source }: Answer<T>, as: (value: T) => U): Read<U> => {
    const position = cache.position()
    return { value: as(value), cache: source === 'load' ? 'MISS' : 'HIT', ...(position && { position }) }
  }
  const own = async (userId: string, sessionId: string, context: ReadContext): Promise<Read<Session | null>> =>
    told(await active.lookup({ session_id: sessionId }, context), (session) => (session?.user_id === userId ? session : null))
  return {
    listRecent: async (userId, context) => told(await recent.lookup({ user_id: userId }, context), (page) => page),
    session: own,
    firstPage: async (userId, sessionId, context) => {
      const session = await own(userId, sessionId, context)
      if (session.value === null) return { ...session, value: null }
      viewers.seen(sessionId)
      return told(await messages.lookup({ session_id: sessionId }, context), (page) => page)
    },
  }
}

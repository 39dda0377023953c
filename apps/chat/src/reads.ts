/** The reads that may be answered from a cache, and how they are answered without one. */
import type { Answer, OpenCache } from 'tidemark'
import { type Read, type ReadContext, readOf } from 'tidemark/app'
import type { MessagePage, SessionPage } from './answers.js'
import type { ChatCaches } from './caches.js'
import { messagePage } from './messages.js'
import type { Db, Session } from './rows.js'
import { findSession, recentSessions } from './sessions.js'
import type { Viewers } from './viewers.js'

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
  const told = <T>(answer: Answer<T>): Read<T> => readOf(answer, cache.position())
  const own = async (userId: string, sessionId: string, context: ReadContext): Promise<Read<Session | null>> => {
    const read = told(await active.lookup({ session_id: sessionId }, context))
    return read.value?.user_id === userId ? read : { ...read, value: null }
  }
  return {
    listRecent: async (userId, context) => told(await recent.lookup({ user_id: userId }, context)),
    session: own,
    firstPage: async (userId, sessionId, context) => {
      const session = await own(userId, sessionId, context)
      if (session.value === null) return { ...session, value: null }
      viewers.seen(sessionId)
      return told(await messages.lookup({ session_id: sessionId }, context))
    },
  }
}

/** What is cached, under the documented names (R44), and by which rows it goes. */
import { cached } from 'tidemark'
import { loadFirstPage } from './messages.js'
import { loadSession, recentSessions } from './sessions.js'

export interface ChatCacheOptions {
  /** Words in Redis are encrypted (C58). */
  readonly encrypted: boolean
  /** True while somebody looks at the chat: its page is loaded again at once (C56). */
  readonly isViewed: (sessionId: string) => Promise<boolean>
}

const session = ({ session_id: id }: { readonly session_id: string | number | bigint }): string => String(id)

export const chatCaches = ({ encrypted, isViewed }: ChatCacheOptions) => ({
  /** The sidebar: the newest chats of a user. */
  recent: cached('chat:recent:{user_id}', {
    ttl: '5m',
    encrypted,
    from: { chat_sessions: 'user_id' },
    load: ({ user_id }, db) => recentSessions(db, String(user_id)),
  }),
  /** A chat, whoever it belongs to. */
  active: cached('chat:active:{session_id}', {
    ttl: '30m',
    encrypted,
    from: { chat_sessions: 'id' },
    load: ({ session_id }, db) => loadSession(db, session({ session_id })),
  }),
  /** Its newest messages. They go together with the chat (C54): a deleted chat has none. */
  messages: cached('chat:messages:{session_id}', {
    ttl: '15m',
    encrypted,
    from: { chat_messages: 'session_id', chat_sessions: 'id' },
    load: ({ session_id }, db) => loadFirstPage(db, session({ session_id })),
    warm: (params) => isViewed(session(params)),
  }),
})

export type ChatCaches = ReturnType<typeof chatCaches>

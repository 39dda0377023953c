/** Compares chats in Redis with what is in Postgres, message by message and word by word. */
import type { Db } from '../rows.js'
import type { PlannedChat, PlannedMessage } from './plan.js'
import { addDifference, type Verification } from './report.js'

interface StoredSession {
  readonly id: string
  readonly legacy_key: string
  readonly user_id: string
  readonly status: string
}

interface StoredMessage {
  readonly id: string
  readonly seq: string
  readonly role: string
  readonly content: string
  readonly changed: boolean
}

type MessageVerdict = 'equal' | 'changedHere' | 'different' | 'missing'

const judgeMessage = (planned: PlannedMessage, stored: StoredMessage | undefined, seqBefore: bigint): MessageVerdict => {
  if (!stored) return 'missing'
  if (stored.role !== planned.role || BigInt(stored.seq) <= seqBefore) return 'different'
  if (stored.changed) return 'changedHere'
  return stored.content === planned.content ? 'equal' : 'different'
}

/** Adds to the verification; gives whether all messages of the chat are in order. */
const compareMessages = (chat: PlannedChat, stored: ReadonlyMap<string, StoredMessage>, verification: Verification): boolean => {
  let seqBefore = 0n
  let inOrder = true
  chat.messages.forEach((planned, index) => {
    const row = stored.get(planned.id)
    const verdict = judgeMessage(planned, row, seqBefore)
    verification.messages[verdict] += 1
    if (row) seqBefore = BigInt(row.seq)
    if (verdict !== 'different' && verdict !== 'missing') return
    inOrder = false
    addDifference(verification, { key: chat.key, what: `message [${index}] is ${verdict}` })
  })
  return inOrder
}

export const verifyBatch = async (db: Db, chats: readonly PlannedChat[], verification: Verification): Promise<void> => {
  const sessions = await db.query<StoredSession>(
    'select id, legacy_key, user_id, status from public.chat_sessions where legacy_key = any($1)',
    [chats.map(({ key }) => key)],
  )
  const purged = await db.query<{ key: string }>(
    `select details ->> 'legacy_key' as key from public.chat_audit where action = 'purge' and details ->> 'legacy_key' = any($1)`,
    [chats.map(({ key }) => key)],
  )
  const messages = await db.query<StoredMessage>(
    `select id, seq::text, role, content, edited_at is not null or deleted_at is not null as changed
       from public.chat_messages where session_id = any($1)`,
    [sessions.rows.map(({ id }) => id)],
  )
  const byKey = new Map(sessions.rows.map((row) => [row.legacy_key, row]))
  const gone = new Set(purged.rows.map(({ key }) => key))
  const byId = new Map(messages.rows.map((row) => [row.id, row]))
  for (const chat of chats) {
    const session = byKey.get(chat.key)
    if (session?.status === 'deleted' || (!session && gone.has(chat.key))) verification.chats.deleted += 1
    else if (!session) {
      verification.chats.missing += 1
      verification.messages.missing += chat.messages.length
      addDifference(verification, { key: chat.key, what: 'the chat is missing' })
    } else {
      const isOwned = session.user_id === chat.userId
      if (!isOwned) addDifference(verification, { key: chat.key, what: 'the chat belongs to another user' })
      const inOrder = compareMessages(chat, byId, verification)
      verification.chats[isOwned && inOrder ? 'equal' : 'different'] += 1
    }
  }
}

/**
 * Some chats into Postgres, in one transaction. A chat is known by its `legacy_key`, a message by its id, so that doing it again adds only what
 * is new. The sessions' rows are locked first, in the order of their ids; numbers are reserved at once and not one by one.
 */

import type { Db } from '../rows.js'
import { cleanText } from '../storable.js'
import { cutTo } from './cut.js'
import { BatchOvertaken } from './in-transaction.js'
import { countedOnly, type Note, type PlannedChat, type PlannedMessage } from './plan.js'

export type ChatOutcome = 'imported' | 'grown' | 'present' | 'deleted' | 'purged' | 'rejected'

export interface WrittenChat {
  readonly chat: PlannedChat
  readonly outcome: ChatOutcome
  readonly importedMessages: number
  /** What the writing found out. */
  readonly notes: readonly Note[]
}

interface KnownSession {
  readonly id: string
  readonly legacy_key: string
  readonly status: string
  readonly next_seq: string
  readonly version: string
}

interface Standing {
  readonly known: ReadonlyMap<string, KnownSession>
  readonly purged: ReadonlySet<string>
  readonly takenIds: ReadonlySet<string>
  readonly messageIds: ReadonlySet<string>
}

const standingOf = async (db: Db, chats: readonly PlannedChat[], isDryRun: boolean): Promise<Standing> => {
  const keys = chats.map(({ key }) => key)
  const known = await db.query<KnownSession>(
    `select id, legacy_key, status, next_seq::text, version::text from public.chat_sessions where legacy_key = any($1)
      order by id ${isDryRun ? '' : 'for update'}`,
    [keys],
  )
  const purged = await db.query<{ key: string }>(
    `select details ->> 'legacy_key' as key from public.chat_audit where action = 'purge' and details ->> 'legacy_key' = any($1)`,
    [keys],
  )
  const taken = await db.query<{ id: string }>(
    'select id from public.chat_sessions where id = any($1) and (legacy_key is null or not legacy_key = any($2))',
    [chats.map(({ id }) => id), keys],
  )
  const messages = await db.query<{ id: string }>('select id from public.chat_messages where session_id = any($1)', [
    known.rows.map(({ id }) => id),
  ])
  return {
    known: new Map(known.rows.map((row) => [row.legacy_key, row])),
    purged: new Set(purged.rows.map(({ key }) => key)),
    takenIds: new Set(taken.rows.map(({ id }) => id)),
    messageIds: new Set(messages.rows.map(({ id }) => id)),
  }
}

const idTaken = ({ key }: PlannedChat): Note => ({ key, item: '', reason: 'id_taken', outcome: 'rejected', bytes: null })

const judge = (chat: PlannedChat, { known, purged, takenIds, messageIds }: Standing): WrittenChat => {
  const written = (outcome: ChatOutcome, importedMessages = 0, notes: readonly Note[] = []): WrittenChat => ({
    chat,
    outcome,
    importedMessages,
    notes,
  })
  const session = known.get(chat.key)
  if (session) {
    if (session.status === 'deleted') return written('deleted')
    const missing = chat.messages.filter(({ id }) => !messageIds.has(id)).length
    return missing === 0 ? written('present') : written('grown', missing)
  }
  if (purged.has(chat.key)) return written('purged')
  if (takenIds.has(chat.id)) return written('rejected', 0, [idTaken(chat)])
  return written('imported', chat.messages.length)
}

const latestOf = (messages: readonly PlannedMessage[]): Date | null =>
  messages.reduce<Date | null>((latest, { createdAt }) => (latest === null || createdAt > latest ? createdAt : latest), null)

const previewOf = (messages: readonly PlannedMessage[]): string | null => {
  const last = messages.at(-1)
  return last ? cutTo(last.content, 120) : null
}

const insertSessions = async (db: Db, chats: readonly PlannedChat[]): Promise<void> => {
  if (chats.length === 0) return
  const rows = chats.map(({ id, key, userId, title, metadata, createdAt, messages }) => ({
    id,
    legacy_key: key,
    user_id: userId,
    title,
    metadata,
    message_count: messages.length,
    next_seq: messages.length + 1,
    last_message_at: latestOf(messages),
    last_message_preview: previewOf(messages),
    created_at: createdAt,
  }))
  const { rowCount } = await db.query(
    `insert into public.chat_sessions (id, legacy_key, user_id, title, metadata, message_count, next_seq, last_message_at,
       last_message_preview, created_at, updated_at)
     select id, legacy_key, user_id, title, metadata, message_count, next_seq, last_message_at, last_message_preview, created_at,
            coalesce(last_message_at, created_at)
       from json_to_recordset($1::json) as r (id uuid, legacy_key text, user_id uuid, title text, metadata jsonb,
         message_count integer, next_seq bigint, last_message_at timestamptz, last_message_preview text, created_at timestamptz)
      order by id
     on conflict do nothing`,
    [JSON.stringify(rows)],
  )
  if (rowCount !== chats.length) throw new BatchOvertaken()
}

interface Growth {
  readonly session: KnownSession
  readonly messages: readonly PlannedMessage[]
}

const growSessions = async (db: Db, growths: readonly Growth[]): Promise<void> => {
  if (growths.length === 0) return
  const rows = growths.map(({ session, messages }) => ({
    id: session.id,
    added: messages.length,
    latest: latestOf(messages),
    preview: previewOf(messages),
  }))
  await db.query(
    `update public.chat_sessions s
        set next_seq = s.next_seq + r.added, message_count = s.message_count + r.added,
            last_message_at = greatest(s.last_message_at, r.latest), last_message_preview = r.preview
       from json_to_recordset($1::json) as r (id uuid, added integer, latest timestamptz, preview text)
      where s.id = r.id`,
    [JSON.stringify(rows)],
  )
}

const insertMessages = async (db: Db, sessions: readonly Pick<Brought, 'id' | 'firstSeq' | 'messages'>[]): Promise<void> => {
  const rows = sessions.flatMap(({ id: session_id, firstSeq, messages }) =>
    messages.map(({ id, role, content, metadata, createdAt }, index) => ({
      id,
      session_id,
      seq: firstSeq + index,
      role,
      content,
      metadata,
      created_at: createdAt,
    })),
  )
  if (rows.length === 0) return
  await db.query(
    `insert into public.chat_messages (id, session_id, seq, role, content, metadata, created_at)
     select id, session_id, seq, role, content, metadata, created_at
       from json_to_recordset($1::json) as r (id uuid, session_id uuid, seq bigint, role text, content text, metadata jsonb,
         created_at timestamptz)`,
    [JSON.stringify(rows)],
  )
}

interface Brought {
  readonly id: string
  readonly firstSeq: number
  readonly messages: readonly PlannedMessage[]
  /** Of a chat that was there. */
  readonly versionBefore: string | null
}

/** What this import brought in, by which it can be taken back. */
const noteBlocks = async (db: Db, runId: string, sessions: readonly Brought[]): Promise<void> => {
  if (sessions.length === 0) return
  const rows = sessions.map(({ id, firstSeq, messages, versionBefore }) => ({
    id,
    first: firstSeq,
    last: firstSeq + messages.length - 1,
    version_before: versionBefore,
  }))
  await db.query(
    `insert into public.chat_import_blocks (run_id, session_id, is_new, first_seq, last_seq, version_before, version)
     select $2, s.id, r.version_before is null, r.first, r.last, r.version_before, s.version
       from json_to_recordset($1::json) as r (id uuid, first bigint, last bigint, version_before bigint)
       join public.chat_sessions s on s.id = r.id`,
    [JSON.stringify(rows), runId],
  )
}

/** Those of earlier runs that no longer hold go. */
export const keepNotes = async (db: Db, runId: string, keys: readonly string[], notes: readonly Note[]): Promise<void> => {
  await db.query('delete from public.chat_import_rejects where source_key = any($1)', [keys.map(cleanText)])
  const kept = notes.filter(({ reason }) => !countedOnly.has(reason))
  if (kept.length === 0) return
  const rows = kept.map(({ key, item, reason, outcome, bytes }) => ({
    source_key: cleanText(key),
    item: cleanText(item),
    reason,
    outcome,
    bytes: bytes?.toString('base64') ?? null,
  }))
  await db.query(
    `insert into public.chat_import_rejects (source_key, item, reason, outcome, bytes, run_id)
     select source_key, item, reason, outcome, decode(bytes, 'base64'), $2
       from json_to_recordset($1::json) as r (source_key text, item text, reason text, outcome text, bytes text)
     on conflict do nothing`,
    [JSON.stringify(rows), runId],
  )
}

/** What an import would do now; for a dry run. */
export const judgeBatch = async (db: Db, chats: readonly PlannedChat[]): Promise<readonly WrittenChat[]> => {
  const standing = await standingOf(db, chats, true)
  return chats.map((chat) => judge(chat, standing))
}

/** Writes them, in the caller's transaction. Raises {@link BatchOvertaken} where it has to be done again. */
export const writeBatch = async (db: Db, runId: string, chats: readonly PlannedChat[]): Promise<readonly WrittenChat[]> => {
  const standing = await standingOf(db, chats, false)
  const judged = chats.map((chat) => judge(chat, standing))
  const fresh = judged.flatMap(({ chat, outcome }) => (outcome === 'imported' ? [chat] : []))
  const growths = judged.flatMap(({ chat, outcome }): Growth[] =>
    outcome === 'grown'
      ? [{ session: standing.known.get(chat.key)!, messages: chat.messages.filter(({ id }) => !standing.messageIds.has(id)) }]
      : [],
  )
  await insertSessions(db, fresh)
  await growSessions(db, growths)
  const brought: readonly Brought[] = [
    ...fresh.map(({ id, messages }) => ({ id, firstSeq: 1, messages, versionBefore: null })),
    ...growths.map(({ session: { id, next_seq, version }, messages }) => ({
      id,
      firstSeq: Number(next_seq),
      messages,
      versionBefore: version,
    })),
  ]
  await insertMessages(db, brought)
  await noteBlocks(db, runId, brought)
  const notes = judged.flatMap(({ chat, outcome, notes: own }) => (outcome === 'purged' ? [] : [...chat.notes, ...own]))
  await keepNotes(
    db,
    runId,
    chats.map(({ key }) => key),
    notes,
  )
  return judged
}

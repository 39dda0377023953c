/**
 * What the yarn keeps, by the functions of the documents, over whichever store is in charge: each takes the transaction it works in, and none
 * knows which store that is.
 */
import { type SqlBool, sql } from 'kysely'
import type { EventCounts, HistoryPage, Message } from './answers.js'
import type { State, Step } from './conversation/states.js'
import type { Risk } from './risk/detect.js'
import {
  countAttempt,
  type Db,
  insertEvents,
  insertIntent,
  insertMessages,
  insertRisk,
  insertSession,
  insertSummary,
  keep,
  now,
  updateSession,
  upsertAnswer,
  yes,
} from './statements.js'
import type { AnalyticsEvent, IntentMethod, LogLevel, Role, SummaryType } from './tables.js'

export type { Message } from './answers.js'
export type { Db } from './statements.js'

export interface SessionData {
  readonly sessionId: string
  readonly fsmState: State
  readonly completed: boolean
}

export interface StepResponse {
  readonly step: Step
  readonly response: string | null
  readonly attempts: number
}

/** Where a session stands when a message comes. */
export interface Conversation extends SessionData {
  readonly responses: readonly StepResponse[]
  /** The last message, where it is the app's own. */
  readonly lastReply: string | null
}

const dayMs = 86_400_000

/** A moment as a text that Postgres reads as UTC, and that compares with the texts of SQLite. */
const momentText = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')}Z`

const daysBefore = (today: Date, days: number): string => momentText(new Date(today.getTime() - days * dayMs))

/** C39: a session that is there keeps its state. True where it was made. */
export const createSession = async (db: Db, sessionId: string, fsmState: State = 'welcome'): Promise<boolean> => {
  const { numInsertedOrUpdatedRows } = await insertSession(db, sessionId, fsmState)
    .onConflict((conflict) => conflict.column('session_id').doNothing())
    .executeTakeFirst()
  if ((numInsertedOrUpdatedRows ?? 0n) === 0n) return false
  await saveAnalyticsEvent(db, 'session_started')
  return true
}

export const getSessionData = async (db: Db, sessionId: string): Promise<SessionData | null> => {
  const row = await db
    .selectFrom('sessions')
    .select(['fsm_state', 'completed'])
    .where('session_id', '=', sessionId)
    .executeTakeFirst()
  return row ? { sessionId, fsmState: row.fsm_state, completed: Boolean(row.completed) } : null
}

export const updateSessionState = async (db: Db, sessionId: string, fsmState: State): Promise<void> => {
  await updateSession(db, sessionId, { state: fsmState }).execute()
}

export const completeSession = async (db: Db, sessionId: string): Promise<void> => {
  await keep(db, [updateSession(db, sessionId, { completes: true }), insertEvents(db, [{ event: 'session_completed' }])])
}

/**
 * Counts as activity, and makes whoever else writes in this session wait for the end of this transaction. False where the session is not there, or
 * nothing has happened in it since `since`.
 */
export const touchSession = async (db: Db, sessionId: string, since: Date): Promise<boolean> => {
  const { numUpdatedRows } = await updateSession(db, sessionId, {})
    .where('last_activity', '>=', momentText(since))
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Where a session stands, in one statement; null where it is not there. */
export const getConversation = async (db: Db, sessionId: string): Promise<Conversation | null> => {
  const rows = await db
    .selectFrom('sessions')
    .leftJoin('user_responses', 'user_responses.session_id', 'sessions.session_id')
    .select(['fsm_state', 'completed', 'step', 'response', 'attempt_count'])
    .select((of) =>
      of
        .selectFrom('chat_history')
        .select(sql<string | null>`CASE WHEN role = 'bot' THEN message END`.as('reply'))
        .whereRef('chat_history.session_id', '=', 'sessions.session_id')
        .orderBy('ts', 'desc')
        .orderBy('id', 'desc')
        .limit(1)
        .as('last_reply'),
    )
    .where('sessions.session_id', '=', sessionId)
    .execute()
  const [first] = rows
  if (!first) return null
  const responses = rows.flatMap(({ step, response, attempt_count: attempts }) =>
    step === null ? [] : [{ step, response, attempts: attempts ?? 0 }],
  )
  return { sessionId, fsmState: first.fsm_state, completed: Boolean(first.completed), responses, lastReply: first.last_reply }
}

/** C40: makes the session where it is missing, and counts as activity. */
export const saveMessage = async (db: Db, sessionId: string, role: Role, message: string): Promise<void> => {
  await createSession(db, sessionId)
  await keep(db, [insertMessages(db, sessionId, [{ role, message }]), updateSession(db, sessionId, {})])
}

const newest = (db: Db, sessionId: string, limit: number) =>
  db
    .selectFrom('chat_history')
    .select(['id', 'role', 'message'])
    .where('session_id', '=', sessionId)
    .orderBy('ts', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)

const messagesOf = (rows: readonly Message[]): readonly Message[] =>
  rows.map(({ role, message }) => ({ role, message })).reverse()

/** C43: the newest `limit` messages, oldest first; of one second by their numbers. */
export const getHistory = async (db: Db, sessionId: string, limit = 6): Promise<readonly Message[]> =>
  messagesOf(await newest(db, sessionId, limit).execute())

/** As {@link getHistory}, before the message of a number. It names the same place in both stores, and what is said meanwhile is behind it. */
export const getHistoryPage = async (db: Db, sessionId: string, limit: number, before?: string): Promise<HistoryPage> => {
  const place = db
    .selectFrom('chat_history')
    .select(['ts', 'id'])
    .where('id', '=', before ?? '0')
    .where('session_id', '=', sessionId)
  const rows = await newest(db, sessionId, limit + 1)
    .$if(before !== undefined, (query) => query.where(sql<SqlBool>`(ts, id) < ${place}`))
    .execute()
  const page = rows.slice(0, limit)
  return { messages: messagesOf(page), next: rows.length > limit ? String(page.at(-1)!.id) : null }
}

/** What was answered to a step; a later answer stands in for an earlier one. */
export const saveUserResponse = async (db: Db, sessionId: string, step: Step, response: string): Promise<void> => {
  const events = insertEvents(db, [{ event: 'step_completed', data: { step } }])
  await keep(db, [upsertAnswer(db, sessionId, step, response), events])
}

export const getUserResponses = async (db: Db, sessionId: string): Promise<readonly StepResponse[]> => {
  const rows = await db
    .selectFrom('user_responses')
    .select(['step', 'response', 'attempt_count'])
    .where('session_id', '=', sessionId)
    .execute()
  return rows.map(({ step, response, attempt_count }) => ({ step, response, attempts: attempt_count }))
}

/** C44: counts one more unclear answer. Gives the count. */
export const updateAttemptCount = async (db: Db, sessionId: string, step: Step): Promise<number> => {
  const { attempt_count } = await countAttempt(db, sessionId, step).returning('attempt_count').executeTakeFirstOrThrow()
  return attempt_count
}

export const resetAttemptCount = async (db: Db, sessionId: string, step: Step): Promise<void> => {
  await db
    .updateTable('user_responses')
    .set({ attempt_count: 0, updated_at: now })
    .where('session_id', '=', sessionId)
    .where('step', '=', step)
    .execute()
}

/** C41: the detection and its count, in the caller's transaction. The count names no session. */
export const saveRiskDetection = async (db: Db, sessionId: string, risk: Risk, message: string): Promise<void> => {
  const events = insertEvents(db, [{ event: 'risk_triggered', data: { severity: risk.severity } }])
  await keep(db, [insertRisk(db, sessionId, risk, message), events])
}

export const saveAnalyticsEvent = async (
  db: Db,
  event: AnalyticsEvent,
  data?: Readonly<Record<string, unknown>>,
): Promise<void> => {
  await insertEvents(db, [{ event, data }]).execute()
}

export const saveSessionSummary = async (
  db: Db,
  sessionId: string,
  type: SummaryType,
  data: Readonly<Record<string, unknown>>,
): Promise<void> => {
  await insertSummary(db, sessionId, type, data).execute()
}

export const getSessionSummaries = async (
  db: Db,
  sessionId: string,
): Promise<readonly { readonly type: SummaryType; readonly data: unknown }[]> => {
  const rows = await db
    .selectFrom('session_summaries')
    .select(['summary_type', 'summary_data'])
    .where('session_id', '=', sessionId)
    .orderBy('id')
    .execute()
  return rows.map(({ summary_type, summary_data }) => ({
    type: summary_type,
    data: typeof summary_data === 'string' ? (JSON.parse(summary_data) as unknown) : summary_data,
  }))
}

/** What a message was taken for, and how that was found; `confidence` from 0 to 1. Counted without its session. */
export const saveIntentClassification = async (
  db: Db,
  sessionId: string,
  userMessage: string,
  classifiedIntent: string,
  confidence: number | null = null,
  method: IntentMethod = 'rule_based',
  fsmState: State | null = null,
  inferenceTimeMs: number | null = null,
): Promise<void> => {
  const intent = { userMessage, classifiedIntent, confidence, method, fsmState, inferenceTimeMs }
  const events = method === 'hybrid' ? [] : [{ event: `${method}_used` as const, data: { intent: classifiedIntent } }]
  await keep(db, [insertIntent(db, sessionId, intent), ...(events.length > 0 ? [insertEvents(db, events)] : [])])
}

/** What happened to the app itself. Neither text may hold words of a yarn. */
export const logSystemEvent = async (
  db: Db,
  level: LogLevel,
  component: string,
  message: string,
  sessionId: string | null = null,
  errorTrace: string | null = null,
): Promise<void> => {
  await db
    .insertInto('system_logs')
    .values({ log_level: level, component, message, session_id: sessionId, error_trace: errorTrace })
    .execute()
}

/** Removes sessions that nobody completed, and all that hangs on them, `days` after anything happened in them. Gives how many. */
export const cleanupAbandonedSessions = async (db: Db, days: number, today: Date): Promise<number> => {
  const { numDeletedRows } = await db
    .deleteFrom('sessions')
    .where('completed', '=', sql<boolean>`FALSE`)
    .where('last_activity', '<', daysBefore(today, days))
    .executeTakeFirst()
  return Number(numDeletedRows)
}

/** Removes what the app noted of itself `days` ago. Gives how many. */
export const cleanupSystemLogs = async (db: Db, days: number, today: Date): Promise<number> => {
  const { numDeletedRows } = await db
    .deleteFrom('system_logs')
    .where('created_at', '<', daysBefore(today, days))
    .executeTakeFirst()
  return Number(numDeletedRows)
}

/** Removes completed sessions, and all that hangs on them, `days` after they began. Gives how many. */
export const cleanupOldSessions = async (db: Db, days: number, today: Date): Promise<number> => {
  const { numDeletedRows } = await db
    .deleteFrom('sessions')
    .where('completed', '=', yes)
    .where('created_at', '<', daysBefore(today, days))
    .executeTakeFirst()
  return Number(numDeletedRows)
}

/** How often something happened. */
export const countAnalytics = async (db: Db, event: AnalyticsEvent): Promise<number> => {
  const { n } = await db
    .selectFrom('analytics')
    .select((row) => row.fn.coalesce(row.fn.sum('session_count'), sql<number>`0`).as('n'))
    .where('event_type', '=', event)
    .executeTakeFirstOrThrow()
  return Number(n)
}

/** How often each thing happened since a moment. It names no session, and outlives them all. */
export const getAnalytics = async (db: Db, since: Date): Promise<EventCounts> => {
  const rows = await db
    .selectFrom('analytics')
    .select(['event_type', (row) => row.fn.sum('session_count').as('n')])
    .where('timestamp', '>=', momentText(since))
    .groupBy('event_type')
    .execute()
  return Object.fromEntries(rows.map(({ event_type, n }) => [event_type, Number(n)]))
}

/** C45: whether the store answers at all. */
export const ping = async (db: Db): Promise<void> => {
  await sql`SELECT 1`.execute(db)
}

/**
 * What the yarn keeps, by the functions of the documents, over whichever store is in charge: each takes the transaction it works in, and none
 * knows which store that is.
 */
import { type Kysely, sql } from 'kysely'
import type { State, Step } from './conversation/states.js'
import type { Risk } from './risk/detect.js'
import type { AnalyticsEvent, IntentMethod, LogLevel, Role, SummaryType, Tables } from './tables.js'

export type Db = Kysely<Tables>

export interface SessionData {
  readonly sessionId: string
  readonly fsmState: State
  readonly completed: boolean
}

export interface Message {
  readonly role: Role
  readonly message: string
}

export interface StepResponse {
  readonly step: Step
  readonly response: string | null
  readonly attempts: number
}

// Both stores write the moment themselves, to the second, in UTC.
const now = sql<string>`CURRENT_TIMESTAMP`
const yes = sql<boolean>`TRUE`

const dayMs = 86_400_000

/** A moment as a text that Postgres reads as UTC, and that compares with the texts of SQLite. */
const momentText = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')}Z`

const daysBefore = (today: Date, days: number): string => momentText(new Date(today.getTime() - days * dayMs))

/** C39: a session that is there keeps its state. True where it was made. */
export const createSession = async (db: Db, sessionId: string, fsmState: State = 'welcome'): Promise<boolean> => {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('sessions')
    .values({ session_id: sessionId, fsm_state: fsmState })
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
  await db.updateTable('sessions').set({ fsm_state: fsmState, last_activity: now }).where('session_id', '=', sessionId).execute()
}

export const completeSession = async (db: Db, sessionId: string): Promise<void> => {
  await db
    .updateTable('sessions')
    .set({ completed: yes, completion_time: now, last_activity: now })
    .where('session_id', '=', sessionId)
    .execute()
  await saveAnalyticsEvent(db, 'session_completed')
}

/** C40: makes the session where it is missing, and counts as activity. */
export const saveMessage = async (db: Db, sessionId: string, role: Role, message: string): Promise<void> => {
  await createSession(db, sessionId)
  await addMessage(db, sessionId, role, message)
  await db.updateTable('sessions').set({ last_activity: now }).where('session_id', '=', sessionId).execute()
}

/** For a session that is known to be there, and is active already. */
export const addMessage = async (db: Db, sessionId: string, role: Role, message: string): Promise<void> => {
  await db.insertInto('chat_history').values({ session_id: sessionId, role, message }).execute()
}

/** C43: the newest `limit` messages, oldest first; of one second by their numbers. */
export const getHistory = async (db: Db, sessionId: string, limit = 6): Promise<readonly Message[]> => {
  const rows = await db
    .selectFrom('chat_history')
    .select(['role', 'message'])
    .where('session_id', '=', sessionId)
    .orderBy('ts', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.reverse()
}

/** What was answered to a step; a later answer stands in for an earlier one. */
export const saveUserResponse = async (db: Db, sessionId: string, step: Step, response: string): Promise<void> => {
  await db
    .insertInto('user_responses')
    .values({ session_id: sessionId, step, response })
    .onConflict((conflict) => conflict.columns(['session_id', 'step']).doUpdateSet({ response, updated_at: now }))
    .execute()
  await saveAnalyticsEvent(db, 'step_completed', { step })
}

export const getUserResponses = async (db: Db, sessionId: string): Promise<readonly StepResponse[]> => {
  const rows = await db
    .selectFrom('user_responses')
    .select(['step', 'response', 'attempt_count'])
    .where('session_id', '=', sessionId)
    .execute()
  return rows.map(({ step, response, attempt_count }) => ({ step, response, attempts: attempt_count }))
}

/** C44: counts one more unclear answer in one statement. Gives the count. */
export const updateAttemptCount = async (db: Db, sessionId: string, step: Step): Promise<number> => {
  const { attempt_count } = await db
    .insertInto('user_responses')
    .values({ session_id: sessionId, step, attempt_count: 1 })
    .onConflict((conflict) =>
      conflict
        .columns(['session_id', 'step'])
        .doUpdateSet((row) => ({ attempt_count: row('user_responses.attempt_count', '+', 1), updated_at: now })),
    )
    .returning('attempt_count')
    .executeTakeFirstOrThrow()
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
  await db
    .insertInto('risk_detections')
    .values({ session_id: sessionId, trigger_phrase: risk.phrase, user_message: message })
    .execute()
  await saveAnalyticsEvent(db, 'risk_triggered', { severity: risk.severity })
}

export const saveAnalyticsEvent = async (
  db: Db,
  event: AnalyticsEvent,
  data?: Readonly<Record<string, unknown>>,
): Promise<void> => {
  await db
    .insertInto('analytics')
    .values({ event_type: event, event_data: data === undefined ? null : JSON.stringify(data) })
    .execute()
}

export const saveSessionSummary = async (
  db: Db,
  sessionId: string,
  type: SummaryType,
  data: Readonly<Record<string, unknown>>,
): Promise<void> => {
  await db
    .insertInto('session_summaries')
    .values({ session_id: sessionId, summary_type: type, summary_data: JSON.stringify(data) })
    .execute()
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
  await db
    .insertInto('intent_classifications')
    .values({
      session_id: sessionId,
      user_message: userMessage,
      classified_intent: classifiedIntent,
      confidence,
      method,
      fsm_state: fsmState,
      inference_time_ms: inferenceTimeMs,
    })
    .execute()
  if (method !== 'hybrid') await saveAnalyticsEvent(db, `${method}_used`, { intent: classifiedIntent })
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

/** Whether a session is there in which nothing has happened since `since`. */
export const isIdleSince = async (db: Db, sessionId: string, since: Date): Promise<boolean> => {
  const row = await db
    .selectFrom('sessions')
    .select('session_id')
    .where('session_id', '=', sessionId)
    .where('last_activity', '<', momentText(since))
    .executeTakeFirst()
  return row !== undefined
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
export const getAnalytics = async (db: Db, since: Date): Promise<Readonly<Partial<Record<AnalyticsEvent, number>>>> => {
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

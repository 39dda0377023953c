/** The statements that keep something, made and not yet run: alone, or several in one. */
import { type InsertQueryBuilder, type Kysely, PostgresAdapter, sql, type UpdateQueryBuilder } from 'kysely'
import type { Message } from './answers.js'
import type { State, Step } from './conversation/states.js'
import type { Risk } from './risk/detect.js'
import type { AnalyticsEvent, IntentMethod, SummaryType, Tables } from './tables.js'

export type Db = Kysely<Tables>

/** What a message was taken for, and how that was found; `confidence` from 0 to 1. */
export interface Intent {
  readonly userMessage: string
  readonly classifiedIntent: string
  readonly confidence: number | null
  readonly method: IntentMethod
  readonly fsmState: State | null
  readonly inferenceTimeMs: number | null
}

export interface CountedEvent {
  readonly event: AnalyticsEvent
  readonly data?: Readonly<Record<string, unknown>> | undefined
}

// biome-ignore lint/suspicious/noExplicitAny: which table, and what it gives back, is nobody's concern here.
type Statement = InsertQueryBuilder<Tables, any, any> | UpdateQueryBuilder<Tables, any, any, any>

// Both stores write the moment themselves, to the second, in UTC.
export const now = sql<string>`CURRENT_TIMESTAMP`
export const yes = sql<boolean>`TRUE`

/**
 * Runs statements of which none sees what another does, and no two change the same row: as one statement, and so in one round trip, where the
 * store takes that, else one after the other.
 */
export const keep = async (db: Db, statements: readonly Statement[]): Promise<void> => {
  if (statements.length > 1 && db.getExecutor().adapter instanceof PostgresAdapter) {
    const named = statements.map((statement, i) => [`kept_${i}`, statement] as const)
    const all = named.reduce<Pick<Db, 'with' | 'selectNoFrom'>>((some, [name, one]) => some.with(name, () => one), db)
    await all.selectNoFrom(sql`1`.as('kept')).execute()
  } else for (const statement of statements) await statement.execute()
}

export const insertSession = (db: Db, sessionId: string, fsmState: State) =>
  db.insertInto('sessions').values({ session_id: sessionId, fsm_state: fsmState })

/** `completes` also says when. */
export const updateSession = (db: Db, sessionId: string, change: { readonly state?: State; readonly completes?: boolean }) =>
  db
    .updateTable('sessions')
    .set({
      last_activity: now,
      ...(change.state !== undefined && { fsm_state: change.state }),
      ...(change.completes && { completed: yes, completion_time: now }),
    })
    .where('session_id', '=', sessionId)

/** In their order. */
export const insertMessages = (db: Db, sessionId: string, messages: readonly Message[]) =>
  db.insertInto('chat_history').values(messages.map(({ role, message }) => ({ session_id: sessionId, role, message })))

/** A later answer stands in for an earlier one; `resets`: and unclear ones before it are not counted any more. */
export const upsertAnswer = (db: Db, sessionId: string, step: Step, response: string, { resets = false } = {}) =>
  db
    .insertInto('user_responses')
    .values({ session_id: sessionId, step, response })
    .onConflict((conflict) =>
      conflict.columns(['session_id', 'step']).doUpdateSet({ response, updated_at: now, ...(resets && { attempt_count: 0 }) }),
    )

/** C44: counts one more in one statement. */
export const countAttempt = (db: Db, sessionId: string, step: Step) =>
  db
    .insertInto('user_responses')
    .values({ session_id: sessionId, step, attempt_count: 1 })
    .onConflict((conflict) =>
      conflict
        .columns(['session_id', 'step'])
        .doUpdateSet((row) => ({ attempt_count: row('user_responses.attempt_count', '+', 1), updated_at: now })),
    )

export const insertRisk = (db: Db, sessionId: string, risk: Risk, message: string) =>
  db.insertInto('risk_detections').values({ session_id: sessionId, trigger_phrase: risk.phrase, user_message: message })

export const insertIntent = (db: Db, sessionId: string, intent: Intent) =>
  db.insertInto('intent_classifications').values({
    session_id: sessionId,
    user_message: intent.userMessage,
    classified_intent: intent.classifiedIntent,
    confidence: intent.confidence,
    method: intent.method,
    fsm_state: intent.fsmState,
    inference_time_ms: intent.inferenceTimeMs,
  })

export const insertSummary = (db: Db, sessionId: string, type: SummaryType, data: Readonly<Record<string, unknown>>) =>
  db.insertInto('session_summaries').values({ session_id: sessionId, summary_type: type, summary_data: JSON.stringify(data) })

/** They name no session. */
export const insertEvents = (db: Db, events: readonly CountedEvent[]) =>
  db
    .insertInto('analytics')
    .values(
      events.map(({ event, data }) => ({ event_type: event, event_data: data === undefined ? null : JSON.stringify(data) })),
    )

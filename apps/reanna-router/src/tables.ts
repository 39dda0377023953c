/** The tables as Kysely knows them. It makes statements of them; who runs them, and as whom, is for whoever calls to say. */
import { type CompiledQuery, type RawBuilder, type SqlBool, sql } from 'kysely'
import type { BreakerState } from 'tidemark'
import { createStatements, type Place, runStatement, type TableOf } from 'tidemark/app'
import type { CallKind } from './calls/calls.js'
import {
  type Db,
  type Feedback,
  feedbackRow,
  type JournalEntry,
  type Task,
  type Tour,
  taskRow,
  tourRow,
  type Visit,
  visitRow,
} from './rows.js'

type AsDate<V> = V extends string ? Date : V

/** As the driver gives it: moments as Date. */
type Stored<T, Moments extends keyof T> = { readonly [K in keyof T]: K extends Moments ? AsDate<T[K]> : T[K] }

type Kept = 'created_at' | 'updated_at'

/** A contact of a CRM. */
interface LeadRow {
  readonly id: string
  readonly provider: string
  readonly tenant: string
  readonly external_id: string
  readonly first_name: string | null
  readonly last_name: string | null
  readonly email: string | null
  readonly phone: string | null
  readonly source: string | null
  readonly agent_id: string | null
  readonly as_of: Date
  readonly deleted_at: Date | null
  readonly created_at: Date
  readonly updated_at: Date
}

interface VisitRef {
  readonly visit_id: string
  readonly provider: string
  readonly tenant: string
  readonly entity_type: 'appointment' | 'contact'
  readonly external_id: string
  readonly created_at: Date
}

/** Of Tidemark's own tables what is looked at here. */
interface BreakerEvent {
  readonly id: string
  readonly service_name: string
  readonly previous_state: BreakerState
  readonly new_state: BreakerState
  readonly failure_count: number | null
  readonly reason: string | null
  readonly timestamp: Date
}

interface WebhookEventRow {
  readonly id: string
  readonly provider: string
  readonly event_type: string
  readonly entity_type: string | null
  readonly entity_id: string | null
  readonly status: 'accepted' | 'processing' | 'processed' | 'failed' | 'dead'
  readonly dead_reason: string | null
  readonly error: string | null
  readonly attempts: number
  readonly received_at: Date
}

interface AlertRow {
  readonly id: string
  readonly alert_type: string
  readonly entity_id: string
  readonly entity_type: string
  readonly message: string
  readonly severity: 'info' | 'warning' | 'error' | 'critical'
  readonly status: 'active' | 'acknowledged' | 'resolved'
  readonly timestamp: Date
}

interface CallRow {
  readonly id: string
  readonly kind: CallKind
  readonly subject: string
  readonly generation: number
  readonly status: 'waiting' | 'calling' | 'done' | 'failed'
  readonly again: boolean
  readonly attempts: number
  readonly next_attempt_at: Date
  readonly claimed_until: Date | null
  readonly error: string | null
  readonly created_at: Date
  readonly updated_at: Date
}

export interface Tables {
  readonly tours: TableOf<
    Stored<Tour, 'start_time' | 'end_time' | 'crm_sync_timestamp' | Kept>,
    'id' | 'crm_sync_status' | 'time_zone' | Kept
  >
  readonly property_visits: TableOf<
    Stored<Visit, 'scheduled_arrival' | 'scheduled_departure' | 'actual_arrival' | 'actual_departure' | Kept>,
    'id' | Kept
  >
  readonly tasks: TableOf<Stored<Task, 'scheduled_time' | 'completed_time' | Kept>, 'id' | Kept>
  readonly feedback: TableOf<
    Stored<Feedback, 'timestamp' | 'last_notification_attempt' | 'notification_requested_at' | Kept>,
    'id' | 'timestamp' | 'sent_to_agent' | 'notification_attempts' | Kept
  >
  readonly tour_journal: Stored<JournalEntry, 'at'> & { readonly id: string; readonly tour_id: string }
  readonly leads: TableOf<LeadRow, 'id' | 'tenant' | Kept>
  readonly 'reanna.visit_refs': TableOf<VisitRef, 'tenant' | 'created_at'>
  readonly 'reanna.calls': TableOf<CallRow, Exclude<keyof CallRow, 'kind' | 'subject'>>
  readonly circuit_breaker_events: BreakerEvent
  readonly webhook_events: WebhookEventRow
  readonly alerts: AlertRow
}

/** Makes statements, and runs none. */
export const tables = createStatements<Tables>()

export const tourColumns = tourRow.keyof().options
export const visitColumns = visitRow.keyof().options
/** Beside others: `t`, `v`, `k` and `f` are a tour, its visit, a task there, and feedback of that task. */
export const ofTour = tourColumns.map((column) => `t.${column}` as const)
export const ofVisit = visitColumns.map((column) => `v.${column}` as const)
export const ofTask = taskRow.keyof().options.map((column) => `k.${column}` as const)
export const ofFeedback = feedbackRow.keyof().options.map((column) => `f.${column}` as const)
/** In which the times of all that hangs on a tour are shown. */
export const zone = 't.time_zone as zone'

export interface Statement<T> {
  compile(): CompiledQuery<T>
}

/** Runs it as whoever `db` acts for. */
export const rowsOf = async <T>(db: Db, statement: Statement<T>): Promise<readonly T[]> =>
  (await runStatement(db, statement)).rows

export const firstOf = async <T>(db: Db, statement: Statement<T>): Promise<T | undefined> => (await rowsOf(db, statement))[0]

/** A statement for which Kysely has no words. */
export const written = <T>(raw: RawBuilder<T>): Statement<T> => ({ compile: () => raw.compile(tables) })

export const now = sql<Date>`now()`
export const rightNow = sql<Date>`clock_timestamp()`

/** Where a row stands in a list by that moment and its id: what `pageOf` makes a cursor of. */
export const placeAt = (moment: string) =>
  sql<string>`to_char(${sql.ref(moment)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`.as('place')

/** What comes after a place in a list by that moment and id: all of it where the place is that of the first page. */
export const isPast = (moment: string, id: string, [time, key]: Place, order: 'asc' | 'desc' = 'asc') => {
  if (time === null) return sql<SqlBool>`true`
  const beyond = sql.raw(order === 'asc' ? '>' : '<')
  return sql<SqlBool>`(${sql.ref(moment)}, ${sql.ref(id)}) ${beyond} (${time}::timestamptz, ${key}::uuid)`
}

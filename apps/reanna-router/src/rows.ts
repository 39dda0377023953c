/** Tours and what hangs on them as the API shows them and as caches keep them: plain JSON, times in the zone of their tour. */
import type { Client } from 'tidemark'
import type { CrmSyncStatus, TaskStatus, TourStatus, VisitStatus } from './day/states.js'
import { timeIn } from './day/zones.js'

/** What statements are run on: a connection or a transaction. */
export type Db = Pick<Client, 'query'>

export interface Tour {
  readonly id: string
  readonly agent_id: string
  readonly start_time: string
  readonly end_time: string
  readonly status: TourStatus
  /** The planner's result, and its error where routing failed. */
  readonly route_data: unknown
  readonly created_at: string
  readonly updated_at: string
  readonly crm_sync_status: CrmSyncStatus
  readonly crm_sync_timestamp: string | null
  readonly crm_sync_error: string | null
  readonly time_zone: string
}

export interface Visit {
  readonly id: string
  readonly tour_id: string
  readonly address: string
  readonly property_id: string | null
  readonly scheduled_arrival: string
  readonly scheduled_departure: string
  readonly actual_arrival: string | null
  readonly actual_departure: string | null
  readonly status: VisitStatus
  readonly sellside_agent_id: string | null
  readonly sellside_agent_name: string | null
  readonly contact_method: string | null
  readonly confirmation_status: string | null
  readonly constraint_indicator: string | null
  readonly square_footage: number | null
  readonly video_url: string | null
  readonly created_at: string
  readonly updated_at: string
}

export const taskTypes = ['property_tour', 'feedback_collection', 'listing_agent_notification', 'buyer_followup'] as const

export interface Task {
  readonly id: string
  readonly visit_id: string
  readonly task_type: (typeof taskTypes)[number]
  readonly status: TaskStatus
  readonly scheduled_time: string
  readonly completed_time: string | null
  readonly shipment_id: string | null
  readonly created_at: string
  readonly updated_at: string
}

export const feedbackSources = ['sms', 'voice', 'app', 'email', 'manual', 'crm'] as const

export interface Feedback {
  readonly id: string
  readonly task_id: string
  readonly raw_feedback: string
  readonly processed_feedback: string | null
  readonly feedback_source: (typeof feedbackSources)[number]
  readonly timestamp: string
  readonly sent_to_agent: boolean
  readonly notification_attempts: number
  readonly last_notification_attempt: string | null
  readonly notification_error: string | null
  readonly notification_requested_at: string | null
  readonly notification_task_id: string | null
  readonly created_at: string
  readonly updated_at: string
}

export interface JournalEntry {
  readonly at: string
  readonly subject: 'tour' | 'visit' | 'task' | 'feedback' | 'crm'
  readonly entry: string
  readonly visit_id: string | null
  readonly task_id: string | null
  readonly feedback_id: string | null
  readonly details: Readonly<Record<string, unknown>>
  readonly actor: string | null
}

export type Row = Readonly<Record<string, unknown>>

/** What Postgres gave, as {@link T}: moments become text of the zone. */
export const shown = <T>(row: Row, zone: string): T =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value instanceof Date ? timeIn(zone, value) : value])) as T

/** A row that brings its tour's zone along as `zone`, which is not shown. */
export const shownInZone = <T>({ zone, ...row }: Row): T => shown<T>(row, String(zone))

export const shownTour = (row: Row): Tour => shown<Tour>(row, String(row['time_zone']))

/** Tours and what hangs on them as the API shows them and as caches keep them: plain JSON, times in the zone of their tour. */
import type { Client } from 'tidemark'
import type { Told } from 'tidemark/app'
import { z } from 'zod'
import { crmMoves, statesOf, taskMoves, tourMoves, visitMoves } from './day/states.js'
import { timeIn } from './day/zones.js'

/** What statements are run on: a connection or a transaction. */
export type Db = Pick<Client, 'query'>

/** Older ids are of no version. */
const id = z.guid()
const time = z.iso.datetime({ offset: true })
const text = z.string().nullable()

export const tourRow = z.strictObject({
  id,
  agent_id: z.string(),
  start_time: time,
  end_time: time,
  status: z.enum(statesOf(tourMoves)),
  route_data: z.unknown().describe("The planner's result, and its error where routing failed."),
  created_at: time,
  updated_at: time,
  crm_sync_status: z.enum(statesOf(crmMoves)),
  crm_sync_timestamp: time.nullable(),
  crm_sync_error: text,
  time_zone: z.string().describe('In which the times are shown: a name such as Australia/Darwin, or an offset.'),
})
export type Tour = Told<typeof tourRow>

export const visitRow = z.strictObject({
  id,
  tour_id: id,
  address: z.string(),
  property_id: text,
  scheduled_arrival: time,
  scheduled_departure: time,
  actual_arrival: time.nullable(),
  actual_departure: time.nullable(),
  status: z.enum(statesOf(visitMoves)),
  sellside_agent_id: text,
  sellside_agent_name: text,
  contact_method: text,
  confirmation_status: text,
  constraint_indicator: text,
  square_footage: z.int().nullable(),
  video_url: text,
  created_at: time,
  updated_at: time,
})
export type Visit = Told<typeof visitRow>

export const taskTypes = ['property_tour', 'feedback_collection', 'listing_agent_notification', 'buyer_followup'] as const

export const taskRow = z.strictObject({
  id,
  visit_id: id,
  task_type: z.enum(taskTypes),
  status: z.enum(statesOf(taskMoves)),
  scheduled_time: time,
  completed_time: time.nullable(),
  shipment_id: text,
  created_at: time,
  updated_at: time,
})
export type Task = Told<typeof taskRow>

const feedbackSources = ['sms', 'voice', 'app', 'email', 'manual', 'crm'] as const

export const feedbackRow = z.strictObject({
  id,
  task_id: id,
  raw_feedback: z.string(),
  processed_feedback: text,
  feedback_source: z.enum(feedbackSources),
  timestamp: time,
  sent_to_agent: z.boolean(),
  notification_attempts: z.int(),
  last_notification_attempt: time.nullable(),
  notification_error: text,
  created_at: time,
  updated_at: time,
  notification_requested_at: time.nullable(),
  notification_task_id: id.nullable(),
})
export type Feedback = Told<typeof feedbackRow>

export const journalEntry = z.strictObject({
  at: time,
  subject: z.enum(['tour', 'visit', 'task', 'feedback', 'crm']),
  entry: z.string().describe('The state that was reached, or what was tried.'),
  visit_id: id.nullable(),
  task_id: id.nullable(),
  feedback_id: id.nullable(),
  details: z.record(z.string(), z.unknown()),
  actor: text.describe('Of the token that asked for it; null where the server did it by itself.'),
})
export type JournalEntry = Told<typeof journalEntry>

type AsText<V> = V extends Date ? string : V
type Shown<T> = { readonly [K in keyof T]: AsText<T[K]> }

const written = <T extends object>(row: T, text: (at: Date) => string): Shown<T> =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value instanceof Date ? text(value) : value])) as Shown<T>

/** What Postgres gave: moments become text of the zone. */
export const shown = <T extends object>(row: T, zone: string): Shown<T> => written(row, (at) => timeIn(zone, at))

/** A row that brings its tour's zone along as `zone`, which is not shown. */
export const shownInZone = <T extends { readonly zone: string }>({ zone, ...row }: T) => shown(row, zone)

export const shownTour = <T extends { readonly time_zone: string }>(row: T): Shown<T> => shown(row, row.time_zone)

/** Of what is no tour's. */
export const shownInUtc = <T extends object>(row: T): Shown<T> => written(row, (at) => at.toISOString())

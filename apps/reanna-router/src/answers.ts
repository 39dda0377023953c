/** What answers hold, as `/openapi.json` tells it. */
import type { Told } from 'tidemark/app'
import { z } from 'zod'
import { feedbackRow, journalEntry, taskRow, tourRow, visitRow } from './rows.js'

const id = z.guid()
const time = z.iso.datetime({ offset: true })
const text = z.string().nullable()
const count = z.int().min(0)
const next = z.string().nullable().describe('The cursor of the next page; null after the last.')

export const tourWithVisits = tourRow.extend({ visits: z.array(visitRow) })
export type TourWithVisits = Told<typeof tourWithVisits>

export const tourPage = z.strictObject({ tours: z.array(tourRow), next })
export const visitPage = z.strictObject({ visits: z.array(visitRow), next })
export const taskPage = z.strictObject({ tasks: z.array(taskRow), next })
export const feedbackPage = z.strictObject({ feedback: z.array(feedbackRow), next })

export const visitInFull = visitRow.extend({
  tasks: z.array(taskRow),
  tasks_next: text.describe('The cursor under which GET /tasks of the visit goes on; null where these are all.'),
  feedback: z.array(feedbackRow),
  feedback_next: text.describe('The cursor under which GET /feedback of the visit goes on; null where these are all.'),
})

export const journal = z.strictObject({
  tour_id: id,
  time_zone: z.string(),
  entries: z.array(journalEntry),
  next: text.describe('The cursor of the entries before these; null where there are none.'),
})

const boardStop = visitRow
  .pick({
    id: true,
    address: true,
    status: true,
    scheduled_arrival: true,
    scheduled_departure: true,
    actual_arrival: true,
    actual_departure: true,
  })
  .extend({
    late_minutes: z.int().nullable().describe('Later than planned; negative: earlier. Null before the arrival.'),
    pending_tasks: count,
    feedback: count,
  })
const boardTour = tourRow
  .pick({ id: true, agent_id: true, status: true, start_time: true, end_time: true, crm_sync_status: true })
  .extend({ stops: z.array(boardStop) })
export const board = z.strictObject({
  day: z.iso.date().nullable().describe('Null: today, as clocks show it where each tour is.'),
  tours: z.array(boardTour),
  next,
})
export type Board = Told<typeof board>

export const requested = z.strictObject({ requested: count, feedback: z.array(id).describe('Whose listing agents are told.') })

export const overview = z
  .record(z.string(), z.record(z.string(), count))
  .describe('How many tours, visits and tasks are in each state, and what the CRM knows of tours.')

const breakerState = z.enum(['CLOSED', 'OPEN', 'HALF_OPEN'])
const breaker = z.strictObject({
  service: z.string(),
  state: breakerState,
  scope: z.enum(['shared', 'own']).describe('shared: it is the same for all processes.'),
  reason: z.string(),
  failure_count: count,
  opened_at: time.nullable(),
  retry_after_ms: count,
})
export type BreakerView = Told<typeof breaker>
const breakerEvent = z.strictObject({
  id,
  service_name: z.string(),
  previous_state: breakerState,
  new_state: breakerState,
  failure_count: count.nullable(),
  reason: text,
  timestamp: time,
})
export const breakers = z.strictObject({ breakers: z.array(breaker), events: z.array(breakerEvent), next })
export type BreakerEvents = Pick<Told<typeof breakers>, 'events' | 'next'>

const limit = z.strictObject({
  service: z.string(),
  limit: count,
  window_ms: count,
  allowed: count.describe('Decisions of this process, since it started.'),
  refused: count,
  remembered: count.describe('Refused by what this process knew of an earlier refusal.'),
  local: count.describe('Decided by this process alone, while the place where calls are counted was away.'),
  open: count.describe('Let through uncounted, while that place was away.'),
})
export type LimitView = Told<typeof limit>
export const limits = z.strictObject({ limits: z.array(limit) })

const deadLetter = z.strictObject({
  id,
  provider: z.string(),
  event_type: z.string(),
  entity_type: text,
  entity_id: text,
  dead_reason: text,
  error: text,
  attempts: count,
  received_at: time,
})
export const webhooks = z.strictObject({
  backlog: z.array(z.strictObject({ provider: z.string(), status: z.string(), events: count, oldest: time })),
  dead_letters: z.array(deadLetter),
  next,
})
export type WebhookBacklog = Told<typeof webhooks>['backlog']
export type DeadLetters = Pick<Told<typeof webhooks>, 'dead_letters' | 'next'>

const selection = z
  .strictObject({
    ids: z.array(id),
    provider: z.string(),
    type: z.string(),
    status: z.array(z.string()),
    reason: z.string(),
    entity: z.string(),
    since: z.string(),
    until: z.string(),
    edit: z.string().describe('The digest of the body that stands in for the one that came.'),
  })
  .partial()
const replay = z.strictObject({
  id,
  actor: z.string(),
  selection,
  selected: count,
  sent: count,
  status: z.enum(['running', 'done', 'failed', 'cancelled']),
  error: text,
  edited: z.boolean().describe('It carries a body that its actor wrote.'),
  createdAt: time,
  finishedAt: time.nullable(),
})
export const replays = z.strictObject({ replays: z.array(replay), next })
export const replayed = z.union([
  replay.extend({ again: z.boolean().describe('The same selection was on its way already: nothing was begun.') }),
  z.strictObject({ events: count.describe('How many would be sent, of a dry run.') }),
])

const alert = z.strictObject({
  id,
  alert_type: z.string(),
  entity_id: z.string(),
  entity_type: z.string(),
  message: z.string(),
  severity: z.enum(['info', 'warning', 'error', 'critical']),
  status: z.enum(['active', 'acknowledged', 'resolved']),
  timestamp: time,
})
export const alerts = z.strictObject({ alerts: z.array(alert), next })
export type Alerts = Told<typeof alerts>

const errorRate = z.strictObject({
  endpoint: z.string(),
  method: z.string(),
  hour: time,
  requests: count,
  errors: count,
  error_rate: z.number().min(0).max(1),
})
export const errorRates = z.strictObject({ hours: count, endpoints: z.array(errorRate), next })
export type ErrorRates = Pick<Told<typeof errorRates>, 'endpoints' | 'next'>

const failedCall = z.strictObject({
  id,
  kind: z.string(),
  subject: z.string().describe("Whom it is about: an id of ours, or a provider's as provider|tenant|id."),
  attempts: count,
  error: text,
  updated_at: time,
})
export const callsInTrouble = z.strictObject({
  backlog: z.array(z.strictObject({ kind: z.string(), status: z.string(), calls: count, oldest: time, next_attempt_at: time })),
  failed: z.array(failedCall),
  next,
})
export type CallBacklog = Told<typeof callsInTrouble>['backlog']
export type FailedCalls = Pick<Told<typeof callsInTrouble>, 'failed' | 'next'>

export const retriedCall = z.strictObject({ kind: z.string(), subject: z.string(), status: z.literal('waiting') })
export type RetriedCall = Told<typeof retriedCall>

/** What requests may hold. */
import { createInput } from 'tidemark/app'
import { z } from 'zod'
import { strategies } from './day/order-stops.js'
import { crmMoves, statesOf, taskMoves, tourMoves, visitMoves } from './day/states.js'
import { isZone } from './day/zones.js'
import { ReannaError } from './reanna-error.js'
import { taskTypes } from './rows.js'

/** The longest text that comes as one SMS, however many parts it has. */
const smsLength = 1600
const longestText = 10_000
/** A day has no more stops; the tables of distances of map services end there too. */
const mostStops = 24

const text = (most: number) => z.string().trim().min(1).max(most)
/** A year, a month and a day that there are, a time of day, and a zone. */
const time = z.iso.datetime({ offset: true }).or(
  // Without seconds, as people write it.
  z
    .string()
    .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d(Z|[+-]\d\d:\d\d)$/, 'an ISO time with its zone')
    .refine((value) => !Number.isNaN(Date.parse(value)), 'an ISO time with its zone'),
)
const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'HH:MM')
const uuid = z
  .string()
  .regex(/^[0-9a-f]{32}$|^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i, 'a uuid')
  .transform((id) => idOf(id))

const hexId = /^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i

/** With dashes and in lower case: older ids have none (C17). Raises REANNA_NOT_FOUND for what is no id. */
export const idOf = (id: string): string => {
  const parts = hexId.exec(id)
  if (parts === null) throw new ReannaError('REANNA_NOT_FOUND')
  return parts.slice(1).join('-').toLowerCase()
}

const coordinates = z.strictObject({ latitude: z.number().min(-90).max(90), longitude: z.number().min(-180).max(180) })
const place = z.strictObject({ address: text(500).optional(), coordinates: coordinates.optional() })

/** By which ids CRMs know of a visit. */
const reference = z.strictObject({
  provider: text(64),
  tenant: z.string().max(128).default(''),
  entity_type: z.enum(['appointment', 'contact']),
  external_id: text(256),
})

const property = {
  address: text(500),
  property_id: text(128).optional(),
  square_footage: z.number().int().min(0).max(10_000_000).optional(),
  coordinates: coordinates.optional(),
  sellside_agent_id: text(128).optional(),
  sellside_agent_name: text(200).optional(),
  contact_method: text(64).optional(),
  confirmation_status: text(64).optional(),
  constraint_indicator: text(64).optional(),
  video_url: z
    .url({ protocol: /^https?$/ })
    .max(2000)
    .optional(),
  references: z.array(reference).max(16).default([]),
}

const window = z.strictObject({ from: clock, until: clock }).refine(({ from, until }) => from < until, 'until comes after from')

const plannedProperty = z.strictObject({ ...property, window: window.optional() })
export type NewProperty = z.infer<typeof plannedProperty>

const zone = z.string().max(64).refine(isZone, 'a zone such as Australia/Darwin or +09:30')

export const newTour = z
  .strictObject({
    agent_id: text(256).optional(),
    start_time: time,
    end_time: time,
    time_zone: zone.optional(),
    strategy: z.enum(strategies).default('optimise'),
    origin: place
      .refine((given) => given.address !== undefined || given.coordinates !== undefined, 'give address or coordinates')
      .optional(),
    properties: z.array(plannedProperty).max(mostStops).default([]),
  })
  .refine(({ start_time, end_time }) => Date.parse(end_time) > Date.parse(start_time), {
    path: ['end_time'],
    message: 'comes after start_time',
  })
  .refine(({ start_time, end_time }) => Date.parse(end_time) - Date.parse(start_time) <= 48 * 3_600_000, {
    path: ['end_time'],
    message: 'a tour is a day, two at most',
  })
export type NewTour = z.infer<typeof newTour>

export const newVisit = z
  .strictObject({ ...property, tour_id: uuid, scheduled_arrival: time.optional(), scheduled_departure: time.optional() })
  .refine((visit) => (visit.scheduled_arrival === undefined) === (visit.scheduled_departure === undefined), {
    path: ['scheduled_departure'],
    message: 'comes together with scheduled_arrival',
  })
  .refine(
    ({ scheduled_arrival: arrival, scheduled_departure: departure }) =>
      arrival === undefined || departure === undefined || Date.parse(departure) >= Date.parse(arrival),
    { path: ['scheduled_departure'], message: 'does not come before scheduled_arrival' },
  )
export type NewVisit = z.infer<typeof newVisit>

export const tourStatus = z.strictObject({ status: z.enum(statesOf(tourMoves)), force: z.boolean().default(false) })
export const visitStatus = z.strictObject({ status: z.enum(statesOf(visitMoves)), at: time.optional() })
export const taskStatus = z.strictObject({ status: z.enum(statesOf(taskMoves)) })
/** Arrivals and departures; without a time it is now. */
export const moment = z.strictObject({ at: time.optional() }).default({})

const upTo = (most: number, usual: number) => z.coerce.number().int().min(1).max(most).default(usual)
const limit = upTo(200, 50)
const cursor = z.string().max(300).optional()

export const toursQuery = z.strictObject({
  agent_id: z.string().max(256).optional(),
  status: z.enum(statesOf(tourMoves)).optional(),
  crm_sync_status: z.enum(statesOf(crmMoves)).optional(),
  /** Not ended yet: scheduled or in progress. */
  active: z.enum(['true', 'false']).optional(),
  from: time.optional(),
  until: time.optional(),
  limit,
  cursor,
})

export const visitsQuery = z.strictObject({
  tour_id: uuid.optional(),
  status: z.enum(statesOf(visitMoves)).optional(),
  limit,
  cursor,
})
export const tasksQuery = z.strictObject({
  visit_id: uuid.optional(),
  task_type: z.enum(taskTypes).optional(),
  pending: z.enum(['true', 'false']).optional(),
  limit,
  cursor,
})
/** `unsent`: processed, and nobody was told. One of the two is given. */
export const feedbackQuery = z
  .strictObject({ unsent: z.literal('true').optional(), visit_id: uuid.optional(), limit, cursor })
  .refine(({ unsent, visit_id }) => unsent !== undefined || visit_id !== undefined, 'give unsent or visit_id')
export const journalQuery = z.strictObject({ limit: upTo(1000, 500), cursor })
export const boardQuery = z.strictObject({ day: z.iso.date().optional(), limit: upTo(200, 200), cursor })
export const latestQuery = z.strictObject({ limit, cursor })
export const errorsQuery = z.strictObject({
  hours: upTo(24 * 31, 24),
  /** Hours on a page. */
  limit: upTo(24, 24),
  cursor,
})

/** Which events go through again; what is left out does not matter, and nothing at all is no selection. */
export const replayRequest = z
  .strictObject({
    ids: z.array(uuid).min(1).max(1000).optional(),
    provider: text(64).optional(),
    type: text(64).optional(),
    status: z
      .array(z.enum(['dead', 'failed', 'processed']))
      .min(1)
      .optional(),
    since: time.optional(),
    until: time.optional(),
    dry_run: z.boolean().default(false),
  })
  .refine(({ dry_run: _dry, ...selection }) => Object.keys(selection).length > 0, 'say which')

const about = { task_id: uuid.optional(), visit_id: uuid.optional() }
const namesOne = (given: { readonly task_id?: string | undefined; readonly visit_id?: string | undefined }): boolean =>
  (given.task_id === undefined) !== (given.visit_id === undefined)

export const smsFeedback = z.strictObject({ ...about, message: text(smsLength) }).refine(namesOne, 'give task_id or visit_id')
export const voiceFeedback = z
  .strictObject({ ...about, transcript: text(longestText) })
  .refine(namesOne, 'give task_id or visit_id')
export const processing = z.strictObject({ processed_feedback: text(longestText).optional() }).default({})

export const { parse, parsePlace } = createInput(ReannaError)

/** What answers hold, as `/openapi.json` tells it. */
import type { Told } from 'tidemark/app'
import { z } from 'zod'
import { agentRow, approvalRow, eventRow, leadRow } from './rows.js'
import { approvalMoves, statesOf } from './states.js'

const id = z.guid()
const time = z.iso.datetime()
const day = z.iso.date()
const count = z.int().min(0)
const next = z.string().nullable().describe('The cursor of the next page; null after the last.')

export const leadPage = z.strictObject({ leads: z.array(leadRow), next })
export const agentPage = z.strictObject({ agents: z.array(agentRow), next })
export const approvalPage = z.strictObject({ approvals: z.array(approvalRow), next })
export const eventPage = z.strictObject({ events: z.array(eventRow), next })

/** What an agent has at hand. */
export const board = z.strictObject({
  agent_id: id,
  leads: z.record(z.string(), count).describe('How many leads are in each state.'),
  approvals: z.record(z.string(), count).describe('How many messages are in each state.'),
  room: count.describe('Room that is left.'),
})
export type Board = Told<typeof board>

export const decided = z.strictObject({
  results: z.array(
    z.union([
      z.strictObject({ id, status: z.enum(statesOf(approvalMoves)) }),
      z.strictObject({ id, error: z.string(), code: z.string() }),
    ]),
  ),
})
export type Decision = Told<typeof decided>['results'][number]

const rate = z.number().min(0).max(1).nullable()
const seconds = z.number().nullable()

/** What every report tells besides. */
const report = z.strictObject({
  from: day,
  until: day.describe('The last day.'),
  refreshed_at: time.nullable().describe('When what it is made of was computed; null: never.'),
})
export type Report = Told<typeof report>

const converted = z.strictObject({ new_leads: count, converted: count, lost: count, conversion_rate: rate })
export const conversionReport = report.extend({
  total: converted,
  by_source: z.array(converted.extend({ source: z.string() })),
  trend: z.array(converted.extend({ day })).describe('Of the leads that came on that day.'),
})
export type ConversionReport = Told<typeof conversionReport>

const responses = z.strictObject({
  leads: count,
  responded: count,
  average_seconds: seconds,
  median_seconds: seconds,
  p90_seconds: seconds,
})
export const firstResponseReport = report.extend({
  total: responses,
  by_source: z.array(responses.extend({ source: z.string() })),
})
export type FirstResponseReport = Told<typeof firstResponseReport>

const leagueRow = z.strictObject({
  rank: count,
  agent_id: id,
  name: z.string(),
  active_leads: count,
  leads: count,
  converted: count,
  conversion_rate: rate,
  messages_sent: count,
  replies: count,
  calls: count,
  median_response_seconds: seconds,
})
export const leagueReport = report.extend({ agents: z.array(leagueRow) })
export type LeagueReport = Told<typeof leagueReport>

const funnelStep = z.strictObject({
  stage: z.string(),
  reached: count.describe('Leads that came so far, or further.'),
  rate: rate.describe('Of those of the step before.'),
})
export const funnelReport = report.extend({ steps: z.array(funnelStep), lost: count })
export type FunnelReport = Told<typeof funnelReport>

const trendRow = converted.extend({ week: day.describe('Its Monday.'), messages_sent: count, replies: count })
export const trendsReport = report.extend({ weeks: z.array(trendRow) })
export type TrendsReport = Told<typeof trendsReport>

const turnaround = z.strictObject({
  decided: count,
  approved: count,
  rejected: count,
  rejection_rate: rate,
  average_seconds: seconds,
  median_seconds: seconds,
  p90_seconds: seconds,
})
export const approvalsReport = report.extend({
  total: turnaround,
  by_channel: z.array(turnaround.extend({ channel: z.string() })),
})
export type ApprovalsReport = Told<typeof approvalsReport>

export const refreshed = z.strictObject({ refreshed: z.boolean() })

const clock = z.iso.time().nullable()
/** What the house decides, for all processes. */
export const settings = z.strictObject({
  allow_self_approval: z.boolean(),
  quiet_from: clock.describe("By the clock of the lead's agent; null: messages go to phones at any hour."),
  quiet_until: clock,
  updated_at: time,
})
export type Settings = Told<typeof settings>

export const received = z.strictObject({
  event: eventRow,
  wish: z.enum(['stop', 'start']).nullable(),
  lead_id: id.nullable(),
  do_not_contact: z.boolean().nullable(),
})

const pool = z.strictObject({
  name: z.string(),
  total: count,
  idle: count,
  waiting: count,
  utilisation: z.number(),
  in_use: count,
  max_connections: count,
})
const cacheEntry = z.strictObject({
  template: z.string(),
  memory: count,
  redis: count,
  stale: count,
  misses: count,
  loads: count,
  loadErrors: count,
  refused: count,
  bypassed: count,
  evictions: count,
  clears: count,
  redisErrors: count,
  tooLarge: count,
  warmed: count,
  sampled: count,
  staleFound: count,
  hitRate: rate,
  keys: count,
  bytes: count,
  maxBytes: count,
  displaced: count,
  ageMedianMs: z.number().nullable(),
  ageMaxMs: z.number().nullable(),
})
const cache = z.strictObject({
  node: z.string(),
  host: z.string(),
  pid: count,
  freshnessMs: count.nullable().describe('Since everything was proven to have been applied; null where it never was.'),
  position: z.string().nullable(),
  entries: z.record(z.string(), cacheEntry),
})
const breaker = z.strictObject({
  service: z.string(),
  state: z.enum(['CLOSED', 'OPEN', 'HALF_OPEN']),
  scope: z.enum(['shared', 'own']),
  failure_count: count,
  retry_after_ms: count,
})
const limit = z.strictObject({
  name: z.string(),
  allowed: count,
  refused: count,
  remembered: count.describe('Refused by what this process knew of an earlier refusal.'),
  local: count.describe('Decided by this process alone, while the place where calls are counted was away.'),
  open: count.describe('Let through uncounted, while that place was away.'),
})
export const overview = z.strictObject({
  pools: z.array(pool),
  cache,
  breakers: z.array(breaker),
  limits: z.array(limit),
  listeners: count,
})
export type Overview = Told<typeof overview>

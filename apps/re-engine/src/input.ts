/** What requests may hold. */
import { createInput } from 'tidemark/app'
import { z } from 'zod'
import { EngineError } from './engine-error.js'
import { actionTypes, agentStatuses, blockReasons, channels, eventTypes } from './rows.js'
import { approvalMoves, leadMoves, statesOf } from './states.js'

const text = (most: number) => z.string().trim().min(1).max(most)
const uuid = z.uuid().toLowerCase()
const time = z.iso.datetime({ offset: true })
/** Kept in lower case (C38). */
const email = z.string().trim().toLowerCase().max(255).pipe(z.email('an e-mail address'))
/** E.164, however it is written. */
const phone = z
  .string()
  .max(40)
  .transform((given) => given.replace(/[\s().-]/g, ''))
  .pipe(z.string().regex(/^\+[1-9]\d{6,14}$/, 'a number with its country, such as +61891234567'))
const metadata = z
  .record(z.string(), z.unknown())
  .refine((value) => Buffer.byteLength(JSON.stringify(value)) <= 16_384, 'at most 16384 bytes')
const zone = z
  .string()
  .max(64)
  // An abbreviation is another zone to Postgres: its ACT is Acre.
  .regex(/^(?:[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)+|UTC|GMT)$/, 'a zone such as Australia/Darwin')
  .refine((name) => {
    try {
      new Intl.DateTimeFormat('en', { timeZone: name })
      return true
    } catch {
      return false
    }
  }, 'a zone such as Australia/Darwin')

/** What a PATCH holds has something in it. */
const someOf = <S extends z.ZodRawShape>(shape: S) =>
  z
    .strictObject(shape)
    .partial()
    .refine((change) => Object.keys(change).length > 0, 'give something to change')

const agent = {
  name: text(200),
  email,
  external_id: text(256).nullable(),
  phone: phone.nullable(),
  license_number: text(50).nullable(),
  brokerage: text(200).nullable(),
  specialties: z.array(text(100)).max(50),
  timezone: zone,
  max_active_leads: z.number().int().min(1).max(100_000),
  status: z.enum(agentStatuses),
  metadata,
}
export const newAgent = z.strictObject(agent).partial().required({ name: true, email: true })
export type NewAgentInput = z.infer<typeof newAgent>
export const agentChange = someOf(agent)
export type AgentChangeInput = z.infer<typeof agentChange>

const lead = {
  first_name: text(100),
  last_name: text(100),
  email: email.nullable(),
  phone: phone.nullable(),
  property_address: text(500).nullable(),
  city: text(100).nullable(),
  province: text(50).nullable(),
  postal_code: text(10).nullable(),
  property_type: text(50).nullable(),
  price_range: text(50).nullable(),
  timeline: text(50).nullable(),
  source: text(100).nullable(),
  metadata,
  do_not_contact: z.boolean(),
  contact_block_reason: z.enum(blockReasons).nullable(),
}
export const newLead = z
  .strictObject({ ...lead, assigned_agent: uuid })
  .partial()
  .required({ first_name: true, last_name: true })
export type NewLeadInput = z.infer<typeof newLead>

export const leadChange = someOf({
  ...lead,
  status: z.enum(statesOf(leadMoves)),
  /** Why; a step back has to say. */
  reason: text(1000),
  /** The one that was read: where the lead has changed since, it is refused. */
  version: z.number().int().min(1),
})
export type LeadChangeInput = z.infer<typeof leadChange>

/** Without an agent it is the turn of the next. */
export const assignment = z.strictObject({ agent_id: uuid.optional() }).default({})

const draft = {
  draft_to: text(500),
  draft_subject: text(300).nullable(),
  draft_text: z
    .string()
    .max(10_000)
    .refine((words) => words.trim() !== '', 'is empty'),
  expires_at: time.nullable(),
  metadata,
}
export const newApproval = z.strictObject({
  lead_id: uuid,
  channel: z.enum(channels),
  action_type: z.enum(actionTypes).default('send'),
  ai_score: z.number().min(0).max(1).optional(),
  /** `pending`: submitted at once. */
  status: z.enum(['draft', 'pending']).default('draft'),
  ...draft,
  /** Default: the lead's own address of that channel. */
  draft_to: draft.draft_to.optional(),
  draft_subject: draft.draft_subject.optional(),
  expires_at: draft.expires_at.optional(),
  metadata: metadata.optional(),
})
export type NewApprovalInput = z.infer<typeof newApproval>
export const approvalChange = someOf({ ...draft, version: z.number().int().min(1) })
export type ApprovalChangeInput = z.infer<typeof approvalChange>

const contentHash = z.string().regex(/^[0-9a-f]{64}$/, 'the content_hash that was read')
/** What was read: where the words are others by now, nothing is approved. */
export const approving = z.strictObject({ content_hash: contentHash.optional() }).default({})
export const rejecting = z.strictObject({ reason: text(1000) })
export const decisions = z.strictObject({
  decisions: z
    .array(
      z.discriminatedUnion('decision', [
        z.strictObject({ id: uuid, decision: z.literal('approve'), content_hash: contentHash.optional() }),
        z.strictObject({ id: uuid, decision: z.literal('reject'), reason: text(1000) }),
      ]),
    )
    .min(1)
    .max(100),
})

export const newEvent = z.strictObject({
  event_type: z.enum(['note', 'call_logged']),
  channel: z.enum(channels).optional(),
  direction: z.enum(['inbound', 'outbound', 'internal']).optional(),
  content: text(10_000),
  data: metadata.optional(),
  /** The same id twice is one event. */
  external_id: text(256).optional(),
  occurred_at: time.optional(),
})

/** What a service that carries messages tells. */
export const inbound = z.strictObject({
  source: text(100),
  /** The service's own id: what it tells twice counts once. */
  external_id: text(256),
  kind: z.enum(['message', 'bounce']).default('message'),
  channel: z.enum(channels),
  from: text(500),
  text: z.string().max(10_000).default(''),
  occurred_at: time.optional(),
})
export type Inbound = z.infer<typeof inbound>

const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/, 'HH:MM')
export const settingsChange = someOf({
  allow_self_approval: z.boolean(),
  quiet_from: clock.nullable(),
  quiet_until: clock.nullable(),
}).refine(
  ({ quiet_from: from, quiet_until: until }) =>
    (from == null) === (until == null) && (from === undefined) === (until === undefined),
  { path: ['quiet_until'], message: 'comes together with quiet_from' },
)

const limit = z.coerce.number().int().min(1).max(200).default(50)
const cursor = z.string().max(300).optional()
const name = (most: number) => z.string().min(1).max(most).optional()

export const leadsQuery = z.strictObject({
  status: z.enum(statesOf(leadMoves)).optional(),
  /** `none`: nobody looks after it. */
  agent_id: uuid.or(z.literal('none')).optional(),
  city: name(100),
  province: name(50),
  property_type: name(50),
  price_range: name(50),
  source: name(100),
  do_not_contact: z.enum(['true', 'false']).optional(),
  /** Words of names, addresses and numbers; each may be cut short. */
  q: name(200),
  limit,
  cursor,
})
export type LeadsQuery = z.infer<typeof leadsQuery>
export const agentsQuery = z.strictObject({ status: z.enum(agentStatuses).optional(), limit, cursor })
export const approvalsQuery = z.strictObject({
  status: z.enum(statesOf(approvalMoves)).optional(),
  lead_id: uuid.optional(),
  agent_id: uuid.optional(),
  channel: z.enum(channels).optional(),
  limit,
  cursor,
})
export type ApprovalsQuery = z.infer<typeof approvalsQuery>
export const eventsQuery = z.strictObject({ event_type: z.enum(eventTypes).optional(), limit, cursor })
/** Days in UTC, both included; without them the last ninety. */
export const periodQuery = z
  .strictObject({ from: z.iso.date().optional(), until: z.iso.date().optional(), source: name(100) })
  .refine(({ from, until }) => from === undefined || until === undefined || from <= until, {
    path: ['until'],
    message: 'does not come before from',
  })
export type PeriodQuery = z.infer<typeof periodQuery>

/** Raises ENGINE_NOT_FOUND for what is no id. */
export const idOf = (id: string): string => {
  const parsed = uuid.safeParse(id)
  if (!parsed.success) throw new EngineError('ENGINE_NOT_FOUND')
  return parsed.data
}

export const { parse, parsePlace } = createInput(EngineError)

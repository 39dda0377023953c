/** Leads and what belongs to them as the API shows them and as caches keep them: plain JSON, times as ISO text. */
import type { Client } from 'tidemark'
import type { Told } from 'tidemark/app'
import { z } from 'zod'
import { approvalMoves, leadMoves, statesOf } from './states.js'

/** What statements are run on: a connection, a transaction or a pool. */
export type Db = Pick<Client, 'query'>

export const agentStatuses = ['active', 'inactive', 'on_leave'] as const
export const channels = ['email', 'sms', 'whatsapp', 'telegram', 'linkedin', 'facebook', 'phone'] as const
export const actionTypes = ['send', 'reply', 'forward'] as const
export const blockReasons = ['dnc', 'bounced', 'unsubscribed'] as const

export type Channel = (typeof channels)[number]

const id = z.guid()
const time = z.iso.datetime()
const text = z.string().nullable()
const metadata = z.record(z.string(), z.unknown())

export const agentRow = z.strictObject({
  id,
  external_id: text.describe("Equals the subject of the agent's token, and tours.agent_id of the same person."),
  name: z.string(),
  email: z.string(),
  phone: text,
  license_number: text,
  brokerage: text,
  specialties: z.array(z.string()),
  timezone: z.string(),
  max_active_leads: z.int(),
  status: z.enum(agentStatuses),
  metadata,
  last_activity_at: time.nullable(),
  created_at: time,
  updated_at: time,
})
/** C72: its `external_id` is the agent of that person's tours as well. */
export type Agent = Told<typeof agentRow>

export const leadRow = z.strictObject({
  id,
  first_name: z.string(),
  last_name: z.string(),
  email: text,
  phone: text,
  property_address: text,
  city: text,
  province: text,
  postal_code: text,
  property_type: text,
  price_range: text,
  timeline: text,
  source: text,
  status: z.enum(statesOf(leadMoves)),
  status_reason: text,
  status_changed_at: time,
  converted_at: time.nullable(),
  assigned_agent: id.nullable(),
  metadata,
  do_not_contact: z.boolean(),
  contact_block_reason: z.enum(blockReasons).nullable(),
  last_contacted_at: time.nullable(),
  version: z.int().describe('Goes up with every change.'),
  created_at: time,
  updated_at: time,
})
/** C30: its `version` goes up with every change. */
export type Lead = Told<typeof leadRow>

export const approvalRow = z.strictObject({
  id,
  lead_id: id,
  agent_id: id.nullable(),
  channel: z.enum(channels),
  action_type: z.enum(actionTypes),
  draft_to: z.string(),
  draft_subject: text,
  draft_text: z.string(),
  content_hash: z.string().describe('Of channel, recipient, subject and text: what is approved.'),
  approved_hash: text,
  status: z.enum(statesOf(approvalMoves)),
  ai_score: z.number().nullable(),
  created_by: z.string(),
  edited_by: text,
  submitted_at: time.nullable(),
  approved_by: text,
  approved_at: time.nullable(),
  rejected_by: text,
  rejected_at: time.nullable(),
  rejection_reason: text,
  send_requested_at: time.nullable(),
  sent_at: time.nullable(),
  provider_message_id: text,
  retry_count: z.int(),
  max_retries: z.int(),
  next_retry_at: time.nullable(),
  last_error: text,
  expires_at: time.nullable(),
  metadata,
  version: z.int(),
  created_at: time,
  updated_at: time,
})
export type Approval = Told<typeof approvalRow>

export const eventTypes = [
  'lead_created',
  'status_changed',
  'assigned',
  'contact_blocked',
  'contact_allowed',
  'draft_created',
  'edited',
  'submitted',
  'approved',
  'rejected',
  'cancelled',
  'expired',
  'sent',
  'send_failed',
  'message_received',
  'bounced',
  'call_logged',
  'note',
] as const

export const eventRow = z.strictObject({
  id,
  lead_id: id.nullable(),
  agent_id: id.nullable(),
  approval_id: id.nullable(),
  event_type: z.enum(eventTypes),
  channel: text,
  direction: z.enum(['inbound', 'outbound', 'internal']),
  source: z.string(),
  content: text,
  data: metadata,
  external_id: text,
  actor: text,
  occurred_at: time,
  created_at: time,
})
export type LeadEvent = Told<typeof eventRow>

export interface Page<T> {
  readonly rows: readonly T[]
  /** For the page after this one; null where this is the last. */
  readonly next: string | null
}

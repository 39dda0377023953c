/** Leads and what belongs to them as the API shows them and as caches keep them: plain JSON, times as ISO text. */
import type { Client } from 'tidemark'
import type { ApprovalStatus, LeadStatus } from './states.js'

/** What statements are run on: a connection, a transaction or a pool. */
export type Db = Pick<Client, 'query'>

export type Metadata = Readonly<Record<string, unknown>>

export const agentStatuses = ['active', 'inactive', 'on_leave'] as const
export const channels = ['email', 'sms', 'whatsapp', 'telegram', 'linkedin', 'facebook', 'phone'] as const
export const actionTypes = ['send', 'reply', 'forward'] as const
export const blockReasons = ['dnc', 'bounced', 'unsubscribed'] as const

export type Channel = (typeof channels)[number]
export type BlockReason = (typeof blockReasons)[number]

export interface Agent {
  readonly id: string
  /** Equals the subject of the agent's token, and `tours.agent_id` of the same person (C72). */
  readonly external_id: string | null
  readonly name: string
  readonly email: string
  readonly phone: string | null
  readonly license_number: string | null
  readonly brokerage: string | null
  readonly specialties: readonly string[]
  readonly timezone: string
  readonly max_active_leads: number
  readonly status: (typeof agentStatuses)[number]
  readonly metadata: Metadata
  readonly last_activity_at: string | null
  readonly created_at: string
  readonly updated_at: string
}

export interface Lead {
  readonly id: string
  readonly first_name: string
  readonly last_name: string
  readonly email: string | null
  readonly phone: string | null
  readonly property_address: string | null
  readonly city: string | null
  readonly province: string | null
  readonly postal_code: string | null
  readonly property_type: string | null
  readonly price_range: string | null
  readonly timeline: string | null
  readonly source: string | null
  readonly status: LeadStatus
  readonly status_reason: string | null
  readonly status_changed_at: string
  readonly converted_at: string | null
  readonly assigned_agent: string | null
  readonly metadata: Metadata
  readonly do_not_contact: boolean
  readonly contact_block_reason: BlockReason | null
  readonly last_contacted_at: string | null
  /** Goes up with every change (C30). */
  readonly version: number
  readonly created_at: string
  readonly updated_at: string
}

export interface Approval {
  readonly id: string
  readonly lead_id: string
  readonly agent_id: string | null
  readonly channel: Channel
  readonly action_type: (typeof actionTypes)[number]
  readonly draft_to: string
  readonly draft_subject: string | null
  readonly draft_text: string
  /** Of channel, recipient, subject and text: what is approved. */
  readonly content_hash: string
  readonly approved_hash: string | null
  readonly status: ApprovalStatus
  readonly ai_score: number | null
  readonly created_by: string
  readonly edited_by: string | null
  readonly submitted_at: string | null
  readonly approved_by: string | null
  readonly approved_at: string | null
  readonly rejected_by: string | null
  readonly rejected_at: string | null
  readonly rejection_reason: string | null
  readonly send_requested_at: string | null
  readonly sent_at: string | null
  readonly provider_message_id: string | null
  readonly retry_count: number
  readonly max_retries: number
  readonly next_retry_at: string | null
  readonly last_error: string | null
  readonly expires_at: string | null
  readonly metadata: Metadata
  readonly version: number
  readonly created_at: string
  readonly updated_at: string
}

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

export interface LeadEvent {
  readonly id: string
  readonly lead_id: string | null
  readonly agent_id: string | null
  readonly approval_id: string | null
  readonly event_type: (typeof eventTypes)[number]
  readonly channel: string | null
  readonly direction: 'inbound' | 'outbound' | 'internal'
  readonly source: string
  readonly content: string | null
  readonly data: Metadata
  readonly external_id: string | null
  readonly actor: string | null
  readonly occurred_at: string
  readonly created_at: string
}

export interface Page<T> {
  readonly rows: readonly T[]
  /** For the page after this one; null where this is the last. */
  readonly next: string | null
}

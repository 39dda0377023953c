/** The eight tables as both stores have them. Times and JSON are written by SQL or as text, so that one statement does for both. */
import type { Generated } from 'kysely'
import type { State, Step } from './conversation/states.js'

/** Text from SQLite, a Date from Postgres. */
type Moment = Date | string
/** A number from SQLite. */
type Flag = boolean | number
/** Text from SQLite, parsed from Postgres. */
type Json = unknown

export interface Tables {
  readonly sessions: {
    readonly session_id: string
    readonly fsm_state: Generated<State>
    readonly created_at: Generated<Moment>
    readonly last_activity: Generated<Moment>
    readonly completed: Generated<Flag>
    readonly completion_time: Moment | null
  }
  readonly chat_history: {
    readonly id: Generated<number | string>
    readonly session_id: string
    readonly role: Role
    readonly message: string
    readonly ts: Generated<Moment>
  }
  readonly user_responses: {
    readonly id: Generated<number | string>
    readonly session_id: string
    readonly step: Step
    readonly response: string | null
    readonly attempt_count: Generated<number>
    readonly created_at: Generated<Moment>
    readonly updated_at: Generated<Moment>
  }
  readonly risk_detections: {
    readonly id: Generated<number | string>
    readonly session_id: string
    readonly trigger_phrase: string
    readonly user_message: string
    readonly detected_at: Generated<Moment>
    readonly resources_shown: Generated<Flag>
  }
  readonly session_summaries: {
    readonly id: Generated<number | string>
    readonly session_id: string
    readonly summary_type: SummaryType
    readonly summary_data: Json
    readonly generated_at: Generated<Moment>
  }
  readonly analytics: {
    readonly id: Generated<number | string>
    readonly event_type: AnalyticsEvent
    readonly event_data: Json
    readonly session_count: Generated<number>
    readonly timestamp: Generated<Moment>
  }
  readonly intent_classifications: {
    readonly id: Generated<number | string>
    readonly session_id: string
    readonly user_message: string
    readonly classified_intent: string
    readonly confidence: number | null
    readonly method: IntentMethod
    readonly fsm_state: string | null
    readonly inference_time_ms: number | null
    readonly created_at: Generated<Moment>
  }
  readonly system_logs: {
    readonly id: Generated<number | string>
    readonly log_level: LogLevel
    readonly component: string
    readonly message: string
    readonly session_id: string | null
    readonly error_trace: string | null
    readonly created_at: Generated<Moment>
  }
}

export const roles = ['user', 'bot'] as const
export type Role = (typeof roles)[number]
export type IntentMethod = 'distilbert' | 'rule_based' | 'hybrid'
export type LogLevel = 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL'
export type SummaryType = 'partial' | 'complete' | 'llm_context'
export const analyticsEvents = [
  'session_started',
  'session_completed',
  'step_completed',
  'risk_triggered',
  'llm_fallback_used',
  'distilbert_used',
  'rule_based_used',
  'llm_turn_completed',
] as const
export type AnalyticsEvent = (typeof analyticsEvents)[number]

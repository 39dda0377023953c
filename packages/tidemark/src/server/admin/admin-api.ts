/** What each path of /admin/v1 takes and gives, for callers in TypeScript. Types alone: nothing of it is there when a program runs. */
import type { z } from 'zod'
import type { ConductReport } from '../../move/live/conductor.js'
import type { JobView } from '../jobs.js'
import type * as alerts from '../operations/alerts.js'
import type * as breakers from '../operations/breakers.js'
import type * as cache from '../operations/cache.js'
import type * as data from '../operations/data.js'
import type * as feed from '../operations/feed.js'
import type * as hooks from '../operations/hooks.js'
import type * as keys from '../operations/keys.js'
import type * as live from '../operations/move/live-move.js'
import type * as move from '../operations/move/move.js'
import type * as board from '../operations/move/move-board.js'
import type { Overview } from '../operations/overview.js'
import type * as queries from '../operations/queries.js'
import type * as connections from '../operations/realtime-connections.js'
import type { RealtimeReport } from '../operations/realtime-figures.js'
import type * as inspection from '../operations/realtime-inspection.js'
import type * as resilience from '../operations/resilience.js'
import type * as schema from '../operations/schema.js'
import type * as settings from '../operations/settings.js'
import type { ProjectStatus } from '../operations/status.js'
import type * as systems from '../operations/systems/systems.js'
import type * as actions from '../operations/systems/systems-actions.js'
import type * as chat from '../operations/systems/systems-chat.js'
import type * as yarn from '../operations/systems/systems-yarn.js'
import type * as audit from './audit.js'
import type { SessionAnswer } from './session-routes.js'
import type { SignInRequest } from './sign-in.js'

export type { EntryReport, NodeReport } from '../../cache/upkeep/cache-report.js'
export type { MoveState } from '../../move/live/live-state.js'
export type { SwitchReport } from '../../move/live/switch-options.js'
export type { Hazard, MoveEvent, MovePlan, ObjectDecision, TablePlan } from '../../move/move.js'
export type { MoveReject, MoveStatus } from '../../move/status.js'
export type { ConnectionEntry, ConnectionPage, EndedConnection } from '../../realtime/connections/connections.js'
export type { ExposureFinding } from '../../schema/exposure/exposure.js'
export type { MigrationStatus, SchemaDifference } from '../../schema/schema.js'
export type { ReplayView } from '../../webhooks/replay/replays.js'
export type { EventDetail, EventView } from '../../webhooks/replay/stored-events.js'
export type { AttemptLine } from '../../webhooks/workers/runs/attempt-log.js'
export type { FeedDescription } from '../feed/feed.js'
export type { JobEvent, JobView } from '../jobs.js'
export type { AlertsReport, AlertView, RuleView, SilenceView } from '../operations/alerts.js'
export type { BreakerReport } from '../operations/breakers.js'
export type { EvictReport, KeyReport, StatsReport } from '../operations/cache.js'
export type { DataColumn, DataCondition, DataCount, DataRows, DataTableInfo } from '../operations/data.js'
export type { LagReport, SlotReport } from '../operations/feed.js'
export type { ToldChange, ToldReset } from '../operations/feed-tail.js'
export type { KeyName, KeyView } from '../operations/keys.js'
export type { BoardDifference, BoardTable, MoveBoard, SqliteFile } from '../operations/move/move-board.js'
export type { Gate } from '../operations/move/move-gates.js'
export type { MoveGlance, Overview, RequestBucket } from '../operations/overview.js'
export type * from '../operations/queries.js'
export type { RealtimeReport, RealtimeServerView } from '../operations/realtime-figures.js'
export type { ChannelsReport } from '../operations/realtime-inspection.js'
export type { BreakerEvent, LimiterReport, ResilienceReport } from '../operations/resilience.js'
export type { CallerRole } from '../operations/role-reads.js'
export type { SettingView } from '../operations/settings.js'
export type * from '../operations/systems/systems.js'
export type { ApprovalDetail, SystemAction } from '../operations/systems/systems-actions.js'
export type { OwnChat, OwnMessage } from '../operations/systems/systems-chat.js'
export type { YarnCourse, YarnTurn, YarnWords } from '../operations/systems/systems-yarn.js'
export type { AuditEntry } from './audit.js'
export type { OperatorRole } from './operator.js'
export type { SessionAnswer } from './session-routes.js'
export type { SignInRequest } from './sign-in.js'
export type { ConductReport }

/** The form of every error. */
export interface AdminError {
  /** Of docs/errors.md. */
  readonly code: string
  readonly message: string
  readonly fix?: string | undefined
  readonly retryable?: boolean
}

// biome-ignore lint/suspicious/noExplicitAny: of any operation, whatever it takes.
type Given<F extends (...args: any[]) => unknown> = Awaited<ReturnType<F>>
type Wanted<S extends z.ZodType> = z.input<S>
/** Of an address, where numbers are text. */
type AsText<S extends z.ZodType> = { readonly [K in keyof z.input<S>]: unknown extends z.input<S>[K] ? number : z.input<S>[K] }
/** The name of who does it is the session's. */
type Signed<S extends z.ZodType> = Omit<z.input<S>, 'actor' | 'author'>
/** The job that does it, as `Prefer: respond-async` asks for. */
interface StartedJob {
  readonly job: string
  readonly url: string
}

export interface AdminApi {
  'GET /session': { readonly answer: SessionAnswer }
  'POST /session': { readonly body: SignInRequest; readonly answer: SessionAnswer }
  'DELETE /session': { readonly answer: { readonly signedOut: true } }
  'GET /overview': { readonly answer: Overview }
  'GET /status': { readonly answer: ProjectStatus }
  'GET /audit': {
    readonly query: Partial<Record<'actor' | 'action' | 'table', string>> & Partial<Record<'before' | 'limit', number>>
    readonly answer: Given<typeof audit.auditList>
  }
  'GET /schema/status': { readonly answer: Given<typeof schema.schemaStatus> }
  'POST /schema/diff': { readonly body: Wanted<typeof schema.schemasRequest>; readonly answer: Given<typeof schema.schemaDiff> }
  'POST /schema/check': { readonly body: Wanted<typeof schema.schemasRequest>; readonly answer: Given<typeof schema.schemaCheck> }
  'POST /schema/up': { readonly body: Wanted<typeof schema.upRequest>; readonly answer: Given<typeof schema.schemaUp> }
  'GET /move': {
    readonly query: Wanted<typeof move.moveStatusRequest>
    readonly answer: { readonly moves: Given<typeof move.moveStatus> }
  }
  'GET /move/rejects': {
    readonly query: { readonly file?: string; readonly limit?: number }
    readonly answer: { readonly rejects: Given<typeof move.moveRejects> }
  }
  'GET /move/board': { readonly query: Wanted<typeof board.boardRequest>; readonly answer: board.MoveBoard }
  'GET /move/files': { readonly answer: Given<typeof board.moveFiles> }
  'POST /move/plan': { readonly body: move.PlanRequest; readonly answer: StartedJob }
  'POST /move/follow': { readonly body: live.FollowRequest; readonly answer: StartedJob }
  'POST /move/reads': { readonly body: live.ReadsRequest; readonly answer: Given<typeof live.moveReads> }
  'POST /move/cutover': { readonly body: live.SwitchRequest; readonly answer: StartedJob }
  'POST /move/rollback': { readonly body: live.SwitchRequest; readonly answer: StartedJob }
  'POST /move/finish': { readonly body: live.FinishRequest; readonly answer: StartedJob }
  'POST /move/abort': { readonly body: live.AbortRequest; readonly answer: StartedJob }
  'POST /move/rollback-without-postgres': {
    readonly body: Pick<live.LiveRequest, 'file'>
    readonly answer: Given<typeof live.moveRollbackWithoutPostgres>
  }
  'GET /jobs': { readonly answer: { readonly jobs: readonly JobView[] } }
  'GET /jobs/:id': { readonly params: { readonly id: string }; readonly answer: JobView }
  'DELETE /jobs/:id': { readonly params: { readonly id: string }; readonly answer: JobView }
  'GET /feed/lag': { readonly answer: feed.LagReport }
  'DELETE /feed/slots/:name': { readonly params: { readonly name: string }; readonly answer: Given<typeof feed.feedDropSlot> }
  'GET /cache': { readonly answer: cache.StatsReport }
  'GET /cache/key': { readonly query: Wanted<typeof cache.keyRequest>; readonly answer: cache.KeyReport }
  'GET /cache/touched': {
    readonly query: Wanted<typeof cache.touchedRequest>
    readonly answer: Given<typeof cache.cacheTouched>
  }
  'POST /cache/evict': { readonly body: Wanted<typeof cache.evictRequest>; readonly answer: cache.EvictReport }
  'GET /breakers': { readonly answer: breakers.BreakersReport }
  'POST /breakers': { readonly body: Wanted<typeof breakers.breakersRequest>; readonly answer: breakers.BreakersReport }
  'GET /alerts': { readonly query: { readonly status?: string; readonly limit?: number }; readonly answer: alerts.AlertsReport }
  'GET /alerts/rules': { readonly answer: Given<typeof alerts.alertsRules> }
  'POST /alerts/ack': { readonly body: Signed<typeof alerts.wordRequest>; readonly answer: alerts.AlertView }
  'POST /alerts/resolve': { readonly body: Signed<typeof alerts.wordRequest>; readonly answer: alerts.AlertView }
  'POST /alerts/silence': { readonly body: Signed<typeof alerts.silenceRequest>; readonly answer: alerts.SilenceView }
  'POST /alerts/unsilence': { readonly body: Signed<typeof alerts.wordRequest>; readonly answer: alerts.SilenceView }
  'POST /alerts/test': { readonly body: Wanted<typeof alerts.testRequest>; readonly answer: alerts.TestReport }
  'POST /hooks/list': { readonly body: Wanted<typeof hooks.listRequest>; readonly answer: hooks.ListReport }
  'GET /hooks/show': { readonly query: Wanted<typeof hooks.showRequest>; readonly answer: Given<typeof hooks.hooksShow> }
  'POST /hooks/replay': { readonly body: Signed<typeof hooks.replayRequest>; readonly answer: hooks.ReplayReport }
  'GET /hooks/replays': { readonly answer: Given<typeof hooks.hooksReplays> }
  'GET /data/tables': { readonly query: Wanted<typeof data.viewpointRequest>; readonly answer: Given<typeof data.dataTables> }
  'GET /data/rows': { readonly query: AsText<typeof data.dataRowsRequest>; readonly answer: data.DataRows }
  'GET /data/count': { readonly query: AsText<typeof data.dataCountRequest>; readonly answer: data.DataCount }
  'GET /systems': { readonly answer: systems.SystemsReport }
  'GET /systems/tours': { readonly query: Wanted<typeof systems.dayRequest>; readonly answer: systems.ToursReport }
  'GET /systems/leads': { readonly answer: systems.LeadsReport }
  'GET /systems/yarn': { readonly answer: systems.YarnReport }
  'GET /systems/yarn/course': { readonly query: Wanted<typeof yarn.courseRequest>; readonly answer: yarn.YarnCourse }
  'POST /systems/yarn/words': { readonly body: Wanted<typeof yarn.wordsRequest>; readonly answer: yarn.YarnWords }
  'GET /systems/chat': { readonly answer: systems.ChatReport }
  'GET /systems/chat/own': { readonly answer: chat.OwnChat }
  'POST /systems/chat/say': { readonly body: Wanted<typeof chat.sayRequest>; readonly answer: chat.OwnChat }
  'GET /systems/agents': { readonly answer: systems.AgentsReport }
  'GET /systems/approval': { readonly query: Wanted<typeof actions.approvalRequest>; readonly answer: actions.ApprovalDetail }
  'POST /systems/act': { readonly body: Wanted<typeof actions.actionRequest>; readonly answer: actions.SystemActionReport }
  'GET /keys': { readonly answer: ReturnType<typeof keys.keysList> }
  'POST /keys/reveal': { readonly body: Wanted<typeof keys.revealRequest>; readonly answer: ReturnType<typeof keys.keyReveal> }
  'GET /resilience': { readonly query: AsText<typeof resilience.resilienceRequest>; readonly answer: resilience.ResilienceReport }
  'GET /queries': { readonly answer: queries.QueriesReport }
  'POST /queries/explain': { readonly body: Wanted<typeof queries.explainRequest>; readonly answer: queries.ExplainReport }
  'GET /settings': { readonly answer: ReturnType<typeof settings.settingsList> }
  'GET /realtime/connections': {
    readonly query: AsText<typeof connections.connectionsRequest>
    readonly answer: Given<typeof connections.realtimeConnections>
  }
  'POST /realtime/connections/close': {
    readonly body: Wanted<typeof connections.closeRequest>
    readonly answer: Given<typeof connections.realtimeClose>
  }
  'GET /realtime/channels': { readonly answer: inspection.ChannelsReport }
  'GET /realtime/inspect': {
    readonly query: Omit<Wanted<typeof inspection.inspectRequest>, 'tables'> & { readonly tables?: string }
    readonly answer: never
  }
  'GET /realtime': { readonly answer: RealtimeReport }
}

/**
 * Tidemark as a library: the same functions that the command line and the server call.
 * Every error that they raise is a {@link TidemarkError}, whose code docs/errors.md explains.
 */

// Alerts
export {
  type Alert,
  type AlertSeverity,
  alertsChannel,
  type Channel,
  type Delivered,
  type Notice,
  type NoticeItem,
} from './alerts/alerts.js'
export type { ChannelDefinition } from './alerts/channels/create-channels.js'
export type { RouteInput } from './alerts/notify/routes.js'
export { type Alerts, type AlertsOptions, openAlerts } from './alerts/open-alerts.js'
export type { Condition } from './alerts/rules/condition.js'
export { defineRule, type LookFor, type Reading, type Rule, type RuleInput } from './alerts/rules/rule.js'
export { standardRules } from './alerts/rules/standard-rules.js'
export { type Threshold, tuneRules } from './alerts/rules/tune-rules.js'

// Auth
export type { Caller } from './auth/caller.js'
export { isTokenError, TokenError, type TokenReason } from './auth/token-error.js'
export { createVerifier, type VerificationKeys, type Verifier, type VerifierOptions } from './auth/verifier.js'

// Caches
export type {
  Answer,
  AnswerSource,
  CacheDefinition,
  CacheEntry,
  EntryOptions,
  FromRule,
  GetOptions,
  KeyPart,
  Load,
  LoadClient,
  WriteOptions,
  Written,
} from './cache/cache.js'
export { cached, type KeyParams } from './cache/cached.js'
export { type Cache, type CacheOptions, createCache, type Definitions, type EntriesOf } from './cache/create-cache.js'
export { type OpenCache, type OpenCacheOptions, openCache } from './cache/open-cache.js'
export type { EncryptionOptions } from './cache/redis/value-cipher.js'
export { positionHeader, positionPlugin } from './cache/session/position-plugin.js'
export type { CacheSession } from './cache/session/session.js'
export { createCacheMetrics } from './cache/upkeep/cache-metrics.js'
export type { EntryReport, NodeReport } from './cache/upkeep/cache-report.js'

// Configuration
export {
  type CacheDefinitionInput,
  type CodeMessage,
  type ConfigInput,
  configNotices,
  configSources,
  defineConfig,
  getSupabaseConfig,
  getSupabaseDatabaseUrl,
  isSupabaseConfigured,
  type LoadConfigOptions,
  loadConfig,
  maskedConfig,
  type ResolveOptions,
  resolveConfig,
  type SendCode,
  type SupabaseConfig,
  type TidemarkConfig,
} from './config/config.js'

// Errors
export { type ErrorCode, errorTable, exitCodes, isTidemarkError, TidemarkError } from './errors.js'

// Feed
export {
  type Change,
  columnValue,
  type FeedReset,
  type Follower,
  type FreshnessProof,
  isRowChange,
  type Relation,
  type ResetReason,
  type Row,
  type TableFilter,
  type TransactionPiece,
  tableName,
} from './feed/feed.js'
export { createFeed } from './feed/follow/create-feed.js'
export type { Feed, FeedHealth, FeedOptions, FollowerHealth, WaitOptions } from './feed/follow/follow.js'
export { type FollowerPosition, followerPosition, storedPositions } from './feed/follow/follower-position.js'
export { onTables } from './feed/follow/on-tables.js'
export { comparePositions, formatPosition, type Position, parsePosition } from './feed/position.js'
export {
  type InstallOutboxOptions,
  installOutbox,
  type OutboxTable,
  removeOutbox,
  removeOutboxReader,
} from './feed/sources/outbox/install-outbox.js'
export type { OutboxSource, OutboxSourceOptions } from './feed/sources/outbox/outbox.js'
export { createOutboxSource } from './feed/sources/outbox/outbox-source.js'
export type { SupabaseSource, SupabaseSourceOptions } from './feed/sources/supabase/supabase.js'
export { createSupabaseSource } from './feed/sources/supabase/supabase-source.js'
export type { WalSourceOptions } from './feed/sources/wal/wal-options.js'
export { createWalSource, type WalSource } from './feed/sources/wal/wal-source.js'

// Moving a SQLite file
export { type Choices, writeChoices } from './move/choices.js'
export { type CopyOptions, copyMove } from './move/copy/copy.js'
export { type CutoverOptions, type CutoverReport, cutover } from './move/cutover/cutover.js'
export type { ExportOptions, ExportReport } from './move/export/export.js'
export { exportMove } from './move/export/export-move.js'
export { type AbortOptions, type AbortReport, abort } from './move/live/abort.js'
export { type ConductOptions, type ConductReport, conduct } from './move/live/conductor.js'
export { type FinishOptions, type FinishReport, finish } from './move/live/finish.js'
export type { MoveState } from './move/live/live-state.js'
export { type ReadsReport, setReads } from './move/live/reads.js'
export type { LiveMoveOptions, SwitchOptions, SwitchReport } from './move/live/switch-options.js'
export type {
  ColumnPlan,
  CopyReport,
  Hazard,
  MoveEvent,
  MoveListener,
  MovePlan,
  ObjectDecision,
  Reject,
  TablePlan,
  TableVerification,
  VerifyReport,
} from './move/move.js'
export { type PlanOptions, planMove } from './move/plan/plan.js'
export { renderPlan, renderPlanSummary } from './move/report.js'
export { type RollbackOptions, type RollbackReport, rollback } from './move/rollback/rollback.js'
export {
  rollbackWithoutPostgres,
  type WithoutPostgresOptions,
  type WithoutPostgresReport,
} from './move/rollback/rollback-without-postgres.js'
export { type MoveReject, type MoveStatus, moveRejects, moveStatus } from './move/status.js'
export { type VerifyOptions, verifyMove } from './move/verify/verify.js'

// Observability
export { createHealth } from './observability/health.js'
export { createLogger, type LogOptions } from './observability/log.js'
export { createMetrics } from './observability/metrics.js'
export { type Health, type Logger, type Metrics, type Signals, silentLogger } from './observability/observability.js'
export { createSignals } from './observability/signals.js'

// Postgres
export { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from './postgres/embedded/embedded.js'
export {
  type Client,
  type ConnectOptions,
  connectPostgres,
  createNamedPool,
  createPools,
  type Pool,
  type PoolHealth,
  type PoolName,
  type PoolStats,
  type Pools,
  type PoolsOptions,
  sqlstateOf,
  type TransactionOptions,
} from './postgres/postgres.js'

// Realtime
export type {
  BridgeConnection,
  BridgeEvent,
  BridgeGap,
  BridgeState,
  BridgeSubscription,
  EventHandler,
  RealtimeBridge,
  SubscribeOptions,
} from './realtime/bridge/bridge.js'
export { type BridgeOptions, createBridge } from './realtime/bridge/create-bridge.js'
export { createLatest, type Latest, type LatestOptions, type ReadToken } from './realtime/bridge/latest.js'
export { createRelay, type RelayOptions } from './realtime/relay/create-relay.js'
export { createMemoryQueue, type MemoryQueueOptions } from './realtime/relay/memory-queue.js'
export { createOutboxQueue, type OutboxQueue, type OutboxQueueOptions } from './realtime/relay/outbox-queue.js'
export { createPusherTarget, type PusherTargetOptions } from './realtime/relay/pusher-target.js'
export {
  type Relay,
  type RelayChange,
  type RelayHandler,
  type RelayMessage,
  type RelayQueue,
  type RelayRule,
  type RelayState,
  type RelayStatus,
  type RelayTarget,
  relayGapEvent,
} from './realtime/relay/relay.js'
export { createSupabaseTarget, type SupabaseTargetOptions } from './realtime/relay/supabase-target.js'

// Redis
export { createRedis, type RedisOptions } from './redis/create-redis.js'
export { type EmbeddedRedis, type EmbeddedRedisOptions, startEmbeddedRedis } from './redis/embedded/embedded.js'
export { defineScript } from './redis/lua-script.js'
export type { Redis, RedisState } from './redis/redis.js'

// Resilience
export type { Breaker, BreakerChange, BreakerSnapshot } from './resilience/breaker/breaker.js'
export type { BreakerRules } from './resilience/breaker/breaker-rules.js'
export type { BreakerState, Operation } from './resilience/breaker/circuit.js'
export { type Breakers, type BreakersOptions, createBreakers } from './resilience/breaker/create-breakers.js'
export { judgeError, type Verdict } from './resilience/breaker/judge.js'
export { type BreakerOptions, createBreaker } from './resilience/breaker.js'
export { type Bulkhead, type BulkheadOptions, createBulkhead } from './resilience/bulkhead.js'
export { createGuard, type Guard, type GuardOptions } from './resilience/guard.js'
export type { Journal, JournalEntry } from './resilience/journal/journal.js'
export { type JournalOptions, openJournal } from './resilience/journal/open-journal.js'
export type { LimitDecision, Limiter, LimitRule } from './resilience/limiter/limits.js'
export { createLimiter, type LimiterOptions, takeAll } from './resilience/limiter.js'
export { parseRetryAfter, type RetryOptions, retry } from './resilience/retry.js'
export { createRetryBudget, type RetryBudget, type RetryBudgetOptions } from './resilience/retry-budget.js'
export { withTimeout } from './resilience/with-timeout.js'

// Schema
export { bootstrap } from './schema/bootstrap.js'
export { checkExposure } from './schema/exposure/check-exposure.js'
export type { ExposureCode, ExposureFinding, ExposureOptions, ExposureReport } from './schema/exposure/exposure.js'
export type { RowSecurityOptions } from './schema/exposure/exposure-watch.js'
export { appSource, platformSource, projectSource } from './schema/migration-files.js'
export {
  createMigrationService,
  type MigrationOverview,
  type MigrationService,
  type MigrationServiceOptions,
  type SchemaComparison,
} from './schema/migration-service.js'
export { createMigrator, type MigratorOptions } from './schema/migrator.js'
export type {
  BootstrapReport,
  MigrationSource,
  MigrationStatus,
  Migrator,
  SchemaClient,
  SchemaConnect,
  SchemaDifference,
  UpReport,
} from './schema/schema.js'
export { sessionsOf } from './schema/sessions.js'
export { type Database, type OpenDatabaseOptions, openDatabase } from './server/database/database.js'
export { createPoolGauges, createPoolObserver } from './server/database/pool-metrics.js'
export { type RateLimitOptions, rateLimit, rateLimitHeaders } from './server/http/rate-limit.js'
// Server
export { type ApiMetrics, type ApiMetricsOptions, createApiMetrics } from './server/observation/api-metrics.js'
export { createLiveCounters, type LiveCounters, type LiveCountersOptions } from './server/observation/live-counters.js'
export type { ProjectStatus } from './server/operations/status.js'
export {
  type GuardPlan,
  type OpenResilienceOptions,
  openResilience,
  type Resilience,
} from './server/resilience/open-resilience.js'
export { createServer, type ServerOptions, type TidemarkServer } from './server/server.js'
export { type HealthTable, healthTables, type Probe } from './server/supabase-health/health-tables.js'
export { probeDatabase } from './server/supabase-health/probe-database.js'

// The folder that outlives a command
export { openState, type State } from './state/state.js'
export { type Intake, type IntakeOptions, openIntake } from './webhooks/intake/intake.js'
// Webhooks
export { type OpenWebhooksOptions, openWebhooks, type Webhooks } from './webhooks/open-webhooks.js'
export {
  defineProvider,
  type EventFacts,
  firstProof,
  type GenericOptions,
  generic,
  github,
  gohighlevel,
  hmacKey,
  hmacProof,
  isoAt,
  lofty,
  momentAt,
  type Provider,
  type ProviderDefinition,
  pathKey,
  pathProof,
  publicKey,
  publicKeyProof,
  rollout,
  standardProof,
  standardWebhooks,
  textAt,
  valueAt,
} from './webhooks/providers/providers.js'
export { createReplays, type Replays, type ReplayView, type StartedReplay } from './webhooks/replay/replays.js'
export type { Selection as EventSelection } from './webhooks/replay/selection.js'
export type { EventDetail, EventView, StoredEvents } from './webhooks/replay/stored-events.js'
export type {
  EventHandler as WebhookHandler,
  EventType,
  HandlerContext as WebhookContext,
  WebhookEvent,
} from './webhooks/webhooks.js'
export { createHandlers } from './webhooks/workers/create-handlers.js'
export { openWorkers } from './webhooks/workers/open-workers.js'
export type { HandlerTable, WorkerSettings, Workers, WorkersOptions, WorkersState } from './webhooks/workers/workers.js'

import { boolean, durationMs, integer } from './kinds.js'
import { option } from './option.js'

export const resilienceOptions = {
  'breaker.failureThreshold': option(integer(0, 100_000), {
    help: 'Failures within ten seconds that open a circuit breaker; 0: half of at least twenty calls.',
    default: 0,
  }),
  'breaker.recoveryTimeoutMs': option(durationMs(1, 86_400_000), {
    help: 'How long a circuit breaker stays open the first time. It doubles with each probe that fails.',
    env: ['TIDEMARK_BREAKER_RECOVERY_TIMEOUT'],
    default: 5_000,
  }),
  'breaker.maxRecoveryTimeoutMs': option(durationMs(1, 86_400_000), {
    help: 'The longest that a circuit breaker stays open.',
    env: ['TIDEMARK_BREAKER_MAX_RECOVERY_TIMEOUT'],
    default: 300_000,
  }),
  'metrics.requests': option(boolean, {
    help: 'Keep a row of each request in public.api_metrics.',
    default: true,
  }),
  'metrics.keepDays': option(integer(1, 3_650), {
    help: 'Days that rows of public.api_metrics are kept.',
    default: 30,
  }),
  'metrics.journal': option(boolean, {
    help: 'Keep rows of requests on disk while Postgres is away, instead of in memory.',
    default: false,
  }),
  'metrics.live': option(boolean, {
    help: 'Count requests in Redis as they happen, in reanna:metrics:api:{minute, hour or day}.',
    default: true,
  }),
  'retention.auditDays': option(integer(0, 36_500), {
    help: 'Days that rows of public.audit_log are kept, never fewer than 30; 0: for ever.',
    default: 365,
  }),
  'retention.breakerEventsDays': option(integer(0, 36_500), {
    help: 'Days that rows of public.circuit_breaker_events are kept, the last of each service for ever; 0: all of them.',
    default: 365,
  }),
} as const

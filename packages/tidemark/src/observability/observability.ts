/** Fields of a log line, beside its message. Values of secret-looking keys leave the process as `***`. */
export type LogFields = Readonly<Record<string, unknown>>

/** What every floor logs through. The message is a sentence; what varies goes into the fields. */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  /** Give the thrown value as `fields.err`. */
  error(message: string, fields?: LogFields): void
  /** A logger whose lines name the component (`redis`, `move.copy`) and carry the fields. */
  child(component: string, fields?: LogFields): Logger
}

/** A logger that says nothing: the default wherever a logger is optional. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
}

export type LabelValues<L extends string> = Readonly<Record<L, string | number>>

/** The values of a metric's labels; nothing where it has none. */
export type Labels<L extends string> = [L] extends [never] ? [] : [labels: LabelValues<L>]

export interface Counter<L extends string = never> {
  /** Adds 1. */
  increment(...labels: Labels<L>): void
  /** Adds `by`, which is not negative. */
  add(by: number, ...labels: Labels<L>): void
}

export interface Gauge<L extends string = never> {
  set(value: number, ...labels: Labels<L>): void
  add(by: number, ...labels: Labels<L>): void
}

export interface Histogram<L extends string = never> {
  /** Takes one measurement, in the unit that the name ends in. */
  observe(value: number, ...labels: Labels<L>): void
}

/** One value of a metric, as it is just now. Of a histogram, its `_count`, its `_sum` and each `_bucket`. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/**
 * The metrics of one process. Asking again for a name gives the same metric.
 * Raises TM_OBSERVABILITY_METRIC for a name against the rules, or one that is taken by another definition.
 */
export interface Metrics {
  /** The name ends in `_total`. */
  counter<L extends string = never>(name: string, help: string, labels?: readonly L[]): Counter<L>
  /** The name ends in one of the units. */
  gauge<L extends string = never>(name: string, help: string, labels?: readonly L[]): Gauge<L>
  /** The name ends in one of the units; `buckets` are upper bounds in that unit. */
  histogram<L extends string = never>(
    name: string,
    help: string,
    labels?: readonly L[],
    buckets?: readonly number[],
  ): Histogram<L>
  /** Everything, in the Prometheus text format. */
  render(): Promise<string>
  /** Everything, as values. */
  read(): Promise<readonly Sample[]>
  readonly contentType: string
}

export type Severity = 'info' | 'warning' | 'critical'

/** Every signal that is raised: what it means and how grave it is. */
export const signalTable = {
  'redis.down': { severity: 'warning', meaning: 'Redis stopped answering; everything goes on without it, more slowly.' },
  'redis.up': { severity: 'info', meaning: 'Redis answers again.' },
  'feed.held': {
    severity: 'warning',
    meaning: 'A follower does not keep up or hangs: its queue is full, and every other one on that server waits for it.',
  },
  'feed.away': {
    severity: 'warning',
    meaning: 'No changes come; caches do not answer, and nothing is told to anybody meanwhile.',
  },
  'feed.back': { severity: 'info', meaning: 'Changes come again.' },
  'feed.behind': { severity: 'critical', meaning: 'Postgres keeps so much for the feed that it will soon give its slot up.' },
  'cache.stale': {
    severity: 'critical',
    meaning: 'A cached value was not as Postgres has it: a rule leaves a table out, or Tidemark is wrong. The value was evicted.',
  },
  'realtime.policy': {
    severity: 'warning',
    meaning: 'A policy raises or takes too long for a subscriber, who is not told of changes. Nobody else is harmed.',
  },
  'realtime.owner': {
    severity: 'critical',
    meaning: 'A policy that reads as `column = auth.uid()` decides otherwise. Postgres is asked from then on, which is slower.',
  },
  'secondary.down': { severity: 'critical', meaning: 'The secondary database stopped answering; what it has to get waits.' },
  'secondary.up': { severity: 'info', meaning: 'The secondary database answers again and has everything.' },
  'heartbeat.missed': { severity: 'warning', meaning: 'Something that tells of itself fell silent and counts as gone.' },
  'heartbeat.back': { severity: 'info', meaning: 'Something that had fallen silent is heard of again.' },
  'webhooks.spooling': {
    severity: 'warning',
    meaning: 'Events wait in Postgres, because Redis could not take them; they go into the stream in their order.',
  },
  'webhooks.refused': {
    severity: 'critical',
    meaning: 'Events could be stored nowhere and were refused; providers that do not send again lose them.',
  },
  'webhooks.stored': { severity: 'info', meaning: 'Events can be stored again.' },
  'webhooks.clock_skew': {
    severity: 'critical',
    meaning:
      'Deliveries with a valid signature lie outside of their time window one after another: a clock is wrong, likely ours.',
  },
  'webhooks.memory_filling': { severity: 'warning', meaning: 'Redis, which holds events, has used 60 % of its memory.' },
  'webhooks.memory_short': { severity: 'critical', meaning: 'Redis, which holds events, has used 80 % of its memory.' },
  'webhooks.memory_full': {
    severity: 'critical',
    meaning: 'Redis has used 90 % of its memory and is sent no more events: they wait in Postgres, or are refused.',
  },
  'webhooks.memory_free': { severity: 'info', meaning: 'Redis has room for events again.' },
  'webhooks.eviction': {
    severity: 'critical',
    meaning: 'The Redis that holds events may drop them when its memory is full: its policy is not noeviction.',
  },
  'breaker.opened': { severity: 'critical', meaning: 'A service failed too often; calls to it are refused for a while.' },
  'breaker.probing': { severity: 'info', meaning: 'One call to a failed service is let through to see whether it is back.' },
  'breaker.closed': { severity: 'info', meaning: 'A failed service is back.' },
  'webhooks.dead': { severity: 'warning', meaning: 'Events became dead letters; `tidemark hooks dlq` shows them.' },
  'webhooks.deleted': {
    severity: 'critical',
    meaning: 'Entries were cut off a stream of events while they were held: something trims it, or Redis evicts.',
  },
  'webhooks.paused': { severity: 'warning', meaning: 'Events wait because Postgres does not take them.' },
  'webhooks.resumed': { severity: 'info', meaning: 'Events are handled again.' },
} as const satisfies Readonly<Record<string, { severity: Severity; meaning: string }>>

export type SignalName = keyof typeof signalTable

/** Trouble, or its end, that a lower floor noticed. */
export interface Signal {
  readonly name: SignalName
  readonly severity: Severity
  /** What it is about: a host, a service, a table. Signals of one name and subject belong together. */
  readonly subject: string
  /** One sentence, secrets masked. */
  readonly message: string
  /** Wall time in milliseconds since 1970. */
  readonly at: number
  readonly details: Readonly<Record<string, string | number | boolean | null>>
}

export interface SignalInput {
  readonly name: SignalName
  readonly subject: string
  readonly message: string
  readonly details?: Signal['details']
}

export type SignalListener = (signal: Signal) => void | Promise<void>

/** Carries signals up the floors. Delivery happens after the raiser goes on; a listener that fails harms nobody. */
export interface Signals {
  raise(signal: SignalInput): void
  /** Calls the listener for every signal from now on, after the ones still kept where `replay` is set. Gives what ends it. */
  listen(listener: SignalListener, options?: { readonly replay?: boolean }): () => void
  /** The last signals, oldest first. */
  recent(): readonly Signal[]
}

export type HealthStatus = 'up' | 'degraded' | 'down'

export interface HealthFinding {
  readonly status: HealthStatus
  /** One short sentence, shown to whoever asks: no secrets. */
  readonly detail?: string
}

export interface HealthCheck {
  readonly name: string
  /** Whether the process can serve at all without this. */
  readonly critical: boolean
  /** After this long without an answer the component counts as down. Default 2000. */
  readonly timeoutMs?: number
  /** For this long an answer is not asked for again. Default 1000. */
  readonly freshForMs?: number
  check(signal: AbortSignal): HealthFinding | Promise<HealthFinding>
}

/** Where the process is in its life; only a serving one is ready. */
export type Phase = 'starting' | 'serving' | 'draining'

export interface ComponentReport {
  readonly status: HealthStatus
  readonly critical: boolean
  readonly detail?: string
  /** How old the finding is. */
  readonly ageMs: number
}

/** The body of `/health`. The first two keys are the documented ones and come first; the rest is ours. */
export interface HealthReport {
  readonly status: 'ok' | 'error'
  readonly database: 'connected' | 'disconnected'
  readonly phase: Phase
  /** Names of the components that are not fully up, while the whole still serves. */
  readonly degraded: readonly string[]
  readonly components: Readonly<Record<string, ComponentReport>>
}

export interface HealthAnswer<B> {
  readonly httpStatus: 200 | 503
  readonly body: B
}

export interface Health {
  /** Adds a component; gives what removes it again. */
  register(check: HealthCheck): () => void
  setPhase(phase: Phase): void
  /** `/health`: 503 where a critical component is down. */
  report(): Promise<HealthAnswer<HealthReport>>
  /** `/livez`: the process answers. */
  live(): HealthAnswer<{ readonly status: 'ok' }>
  /** `/readyz`: the process is serving and every critical component is up. */
  ready(): Promise<HealthAnswer<{ readonly status: 'ok' | 'error'; readonly reason?: string }>>
}

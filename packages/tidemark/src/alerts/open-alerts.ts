import { hostname } from 'node:os'
import { isTidemarkError, reasonOf, TidemarkError } from '../errors.js'
import type { Health, HealthCheck, Logger, Metrics, Signals } from '../observability/observability.js'
import type { Pool } from '../postgres/postgres.js'
import type { Redis } from '../redis/redis.js'
import { type Clock, systemClock } from '../time/clock.js'
import type { Alert, Delivered, Notice } from './alerts.js'
import { createAlertsMetrics } from './alerts-metrics.js'
import { type ChannelDefinition, createChannels } from './channels/create-channels.js'
import type { Lookup } from './channels/guarded-post.js'
import { type Broadcast, createHintChannel } from './channels/inner-channels.js'
import { DirectPath } from './direct/direct-path.js'
import { SignalSink } from './direct/signal-sink.js'
import { foldBatch, foldWaiting } from './fold/fold-job.js'
import { measureAlerts, readWaiting } from './fold/measure.js'
import { type DeadMansSwitch, sweep } from './fold/sweep.js'
import { Dispatcher, type GuardedChannel } from './notify/dispatcher.js'
import { createRoutes, type RouteInput } from './notify/routes.js'
import * as operators from './operators.js'
import { Engine } from './rules/engine.js'
import type { Rule } from './rules/rule.js'
import { createTurns, type Turns } from './turns.js'

export interface AlertsOptions {
  /** Of the database that has Tidemark's own tables. */
  readonly pool: Pick<Pool, 'query' | 'transaction'>
  /** For hints on `reanna:alerts`, and so that one node tells while Postgres is away. Left out: neither. */
  readonly redis?: Redis
  /** Where signals are kept while Postgres is away; other processes may use the same. */
  readonly folder: string
  readonly rules: readonly Rule[]
  readonly channels: Readonly<Record<string, ChannelDefinition>>
  readonly routes?: readonly RouteInput[]
  /** Hosts, addresses and networks that may be called although they are not public. */
  readonly allowed?: readonly string[]
  readonly deadMansSwitch?: DeadMansSwitch
  /** How a channel of realtime reaches its topic. */
  readonly broadcast?: Broadcast
  readonly metrics: Metrics
  readonly health: Health
  readonly signals: Signals
  /** Brings gauges up to date before rules look at them. */
  readonly refresh?: () => void
  /** How often rules are looked at. Default 2 s. */
  readonly lookEveryMs?: number
  /** How often what waits in Postgres is looked for. Default 500 ms. */
  readonly pollEveryMs?: number
  /** How often what happens by time alone is looked at. Default 5 s. */
  readonly sweepEveryMs?: number
  /** Default 5 minutes. */
  readonly resolveTimeoutMs?: number
  /** How long what ended is kept. Default 90 days. */
  readonly keepMs?: number
  /** Names this node among those that watch. */
  readonly node?: string
  readonly lookup?: Lookup
  readonly clock?: Clock
  readonly log: Logger
}

/** Alerts of one process. Several processes on one database fold, and send, each thing once. */
export interface Alerts {
  start(): void
  /** A look at all rules now. */
  look(): Promise<void>
  list(options?: operators.ListOptions): Promise<readonly Alert[]>
  acknowledge(id: string, actor: string): Promise<Alert>
  resolve(id: string, actor: string): Promise<Alert>
  silence(input: operators.SilenceInput): Promise<operators.SilenceRow>
  endSilence(id: string, actor: string): Promise<operators.SilenceRow>
  silences(): Promise<readonly operators.SilenceRow[]>
  /** Sends a test by a channel, at once. Raises what the channel raises, and TM_ALERTS_UNKNOWN. */
  test(channel: string): Promise<Delivered>
  channels(): readonly string[]
  readonly rules: readonly Rule[]
  readonly healthCheck: HealthCheck
  stop(): Promise<void>
}

const hintsName = 'redis-hints'
const claimTtlMs = 30_000
const forgetEveryMs = 3_600_000
/** Who folds and who sends is woken; by itself it looks no more often than this. */
const unaskedEveryMs = 30_000

const hintChannel = (redis: Redis): GuardedChannel => ({
  channel: createHintChannel(hintsName, redis),
  fallback: undefined,
  maxPerMinute: 6000,
  timeoutMs: 2000,
  isHint: true,
})

/** Of several nodes that cannot ask Postgres, the first to leave its word in Redis tells. Without Redis each does. */
const claimBy =
  (redis: Redis | undefined) =>
  async (fingerprint: string, alertId: string): Promise<string> => {
    if (redis?.state !== 'up') return alertId
    const key = `tidemark:alerts:telling:${fingerprint}`
    try {
      const isMine = await redis.command(['SET', key, alertId, 'NX', 'PX', claimTtlMs])
      return isMine === null ? ((await redis.command<string | null>(['GET', key])) ?? alertId) : alertId
    } catch {
      return alertId
    }
  }

const mutesOf = (rules: readonly Rule[]): ReadonlyMap<string, readonly string[]> =>
  new Map(rules.flatMap(({ name, mutes }) => (mutes.length > 0 ? [[name, mutes] as const] : [])))

class OpenedAlerts implements Alerts {
  readonly rules: readonly Rule[]
  readonly healthCheck: HealthCheck
  readonly #options: AlertsOptions
  readonly #channels: readonly GuardedChannel[]
  readonly #routes
  readonly #dispatcher: Dispatcher
  readonly #direct: DirectPath
  readonly #sink: SignalSink
  readonly #engine: Engine
  readonly #metrics
  readonly #turns: readonly Turns[]
  readonly #folding: Turns
  readonly #sending: Turns
  #trouble: string | undefined

  constructor(options: AlertsOptions) {
    const { clock = systemClock, log, pool, redis, rules, signals } = options
    this.#options = options
    this.rules = rules
    const { allowed = [], broadcast, lookup, channels: definitions } = options
    const named = createChannels({ definitions, allowed, broadcast, log, ...(lookup && { lookup }) })
    const hints = redis && redis.state !== 'absent' ? [hintChannel(redis)] : []
    this.#channels = [...named, ...hints]
    const names = named.map(({ channel }) => channel.name)
    this.#routes = createRoutes(options.routes ?? [], names)
    const switched = options.deadMansSwitch?.channel
    if (switched !== undefined && !names.includes(switched))
      throw new TidemarkError('TM_ALERTS_CHANNEL', {
        channel: switched,
        reason: "the dead man's switch names it, and there is none",
      })
    this.#metrics = createAlertsMetrics(options.metrics)
    const shared = { clock, log }
    this.#dispatcher = new Dispatcher({
      ...shared,
      pool,
      signals,
      channels: this.#channels,
      mutes: mutesOf(rules),
      metrics: this.#metrics,
    })
    this.#direct = new DirectPath({
      ...shared,
      channels: this.#channels,
      routes: this.#routes,
      dispatcher: this.#dispatcher,
      claim: claimBy(redis),
      onTold: (signal) => this.#sink.told(signal),
    })
    this.#sink = new SignalSink({
      ...shared,
      pool,
      folder: options.folder,
      onStored: () => this.#folding.wake(),
      onKept: (kept) => {
        for (const signal of kept) this.#direct.tell(signal)
      },
      onDrained: () => this.#direct.forget(),
    })
    const { node = `${hostname()}:${process.pid}`, refresh, metrics, health } = options
    this.#engine = new Engine({
      ...shared,
      rules,
      metrics,
      health,
      signals,
      source: node,
      onSignals: (raised) => this.#sink.add(raised),
      ...(refresh && { refresh }),
    })
    const { lookEveryMs = 2000, pollEveryMs = 500, sweepEveryMs = 5000 } = options
    const turns = (what: string, everyMs: number, work: () => Promise<unknown>): Turns =>
      createTurns({ ...shared, everyMs, work: () => this.#guard(what, work) })
    this.#folding = turns('folding', unaskedEveryMs, () => this.#fold())
    this.#sending = turns('sending', unaskedEveryMs, () => this.#dispatcher.dispatch())
    this.#turns = [
      turns('looking', lookEveryMs, () => this.look()),
      this.#folding,
      this.#sending,
      turns('polling', pollEveryMs, () => this.#poll()),
      turns('sweeping', sweepEveryMs, () => this.#sweep()),
      turns('forgetting', forgetEveryMs, () => this.#forget()),
    ]
    this.healthCheck = { name: 'alerts', critical: false, check: () => this.#finding() }
  }

  async open(): Promise<void> {
    await this.#sink.open()
    // Only now can what is heard be kept.
    this.#engine.listen()
  }

  start(): void {
    for (const turns of this.#turns) turns.start()
  }

  look(): Promise<void> {
    return this.#engine.look()
  }

  list(options?: operators.ListOptions): Promise<readonly Alert[]> {
    return operators.listAlerts(this.#options.pool, options)
  }

  acknowledge(id: string, actor: string): Promise<Alert> {
    return operators.acknowledgeAlert(this.#options.pool, id, actor)
  }

  async resolve(id: string, actor: string): Promise<Alert> {
    const alert = await operators.resolveAlert(this.#options.pool, id, actor, this.#routes)
    this.#sending.wake()
    return alert
  }

  silence(input: operators.SilenceInput): Promise<operators.SilenceRow> {
    return operators.addSilence(this.#options.pool, input)
  }

  endSilence(id: string, actor: string): Promise<operators.SilenceRow> {
    return operators.endSilence(this.#options.pool, id, actor)
  }

  silences(): Promise<readonly operators.SilenceRow[]> {
    return operators.listSilences(this.#options.pool)
  }

  channels(): readonly string[] {
    return this.#channels.filter(({ isHint }) => !isHint).map(({ channel }) => channel.name)
  }

  async test(channel: string): Promise<Delivered> {
    if (!this.channels().includes(channel))
      throw new TidemarkError('TM_ALERTS_UNKNOWN', { what: 'channel', id: channel.slice(0, 64) })
    const sentAtMs = (this.#options.clock ?? systemClock).now()
    const notice: Notice = {
      idempotencyKey: `test:${sentAtMs}`,
      groupKey: 'test',
      sentAtMs,
      items: [{ kind: 'test', alert: undefined }],
    }
    return this.#dispatcher.sendNow(channel, notice)
  }

  async stop(): Promise<void> {
    this.#engine.stop()
    await Promise.all(this.#turns.map((turns) => turns.stop()))
    await this.#direct.stop()
    await this.#sink.stop()
    await this.#dispatcher.stop()
  }

  /** One question for both, since mostly nothing waits. */
  async #poll(): Promise<void> {
    const { unfolded, due } = await readWaiting(this.#options.pool)
    if (unfolded) this.#folding.wake()
    if (due) this.#sending.wake()
  }

  async #fold(): Promise<void> {
    const { routes, hints } = { routes: this.#routes, hints: this.#channels.find(({ isHint }) => isHint)?.channel.name }
    for (;;) {
      const { folded, opened } = await foldWaiting(this.#options.pool, { routes, hints })
      this.#metrics.folded(folded)
      for (const { severity } of opened) this.#metrics.opened(severity)
      if (folded > 0) this.#sending.wake()
      if (folded < foldBatch) return
    }
  }

  async #sweep(): Promise<void> {
    const { pool, deadMansSwitch, resolveTimeoutMs = 300_000 } = this.#options
    await sweep(pool, { routes: this.#routes, resolveTimeoutMs, deadMansSwitch })
    await measureAlerts(pool, this.#metrics, this.channels())
  }

  async #forget(): Promise<void> {
    const { pool, keepMs = 90 * 86_400_000 } = this.#options
    await pool.query(`select tidemark.forget_alerts(clock_timestamp() - $1 * interval '1 ms')`, [keepMs])
  }

  /** Postgres that is away is known otherwise; a part that fails for another reason says so, once. */
  async #guard(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
      this.#trouble = this.#trouble?.startsWith(what) ? undefined : this.#trouble
    } catch (error) {
      const trouble = `${what}: ${reasonOf(error)}`
      const isAway = isTidemarkError(error) && error.retryable
      if (this.#trouble !== trouble && !isAway) this.#options.log.error('a part of alerts does not work', { what, err: error })
      this.#trouble = trouble
    }
    this.#metrics.kept(this.#sink.kept)
  }

  #finding(): ReturnType<HealthCheck['check']> {
    const { kept } = this.#sink
    if (kept > 0) return { status: 'degraded', detail: `${kept} signals are kept on this machine until Postgres takes them` }
    if (this.#trouble !== undefined) return { status: 'degraded', detail: this.#trouble }
    return { status: 'up', detail: `${this.rules.length} rules, channels ${this.channels().join(', ')}` }
  }
}

/** Makes the alerts of one process. Raises TM_ALERTS_CHANNEL, TM_ALERTS_MATCHER and TM_STATE_FOLDER_UNUSABLE. */
export const openAlerts = async (options: AlertsOptions): Promise<Alerts> => {
  const alerts = new OpenedAlerts(options)
  await alerts.open()
  return alerts
}

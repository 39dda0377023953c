import { randomUUID } from 'node:crypto'
import { reasonOf } from '../../errors.js'
import type { Health, Logger, Metrics, Signal, SignalName, Signals } from '../../observability/observability.js'
import { maskSecrets } from '../../secrets.js'
import type { Clock } from '../../time/clock.js'
import type { AlertSignal, ConditionName, SignalKind } from '../alerts.js'
import { fingerprintOf } from '../fingerprint.js'
import { type ConditionMemory, fires, inactive, type Look, step } from '../machine/machine.js'
import { lookedBackAt, readCondition } from './condition.js'
import { type Facts, History } from './facts.js'
import { type Reading, type Rule, sentenceOf } from './rule.js'
import { beginningOf, endedBy, severityOf } from './signal-alerts.js'

export interface EngineOptions {
  readonly rules: readonly Rule[]
  readonly metrics: Metrics
  readonly health: Health
  readonly signals: Signals
  /** Brings gauges up to date. */
  readonly refresh?: () => void
  /** Names this node among those that watch. */
  readonly source: string
  /** How often a node says of what fires that it goes on. Default 1 minute. */
  readonly stillEveryMs?: number
  /** Takes what was noticed. Never raises. */
  readonly onSignals: (signals: readonly AlertSignal[]) => void
  readonly clock: Clock
  readonly log: Logger
}

/** One condition that is watched on this node. */
interface Watched {
  readonly name: ConditionName
  readonly memory: ConditionMemory
  readonly severity: AlertSignal['severity']
  readonly message: string
  readonly mutes: readonly string[]
  /** When it was said last that it fires. Monotonic. */
  readonly saidAtMs: number
  /** Of a signal without an end: when it counts as over. Monotonic. */
  readonly endsAtMs?: number
}

const keyOf = ({ alertType, ...name }: ConditionName): string => `${alertType}\0${fingerprintOf({ alertType, ...name })}`

const graveness: readonly Look[] = ['unknown', 'clear', 'between', 'holds']

/** One reading for each thing: where several conditions speak of it, the gravest. */
const gravest = (rule: Rule, readings: readonly Reading[]) => {
  const found = new Map<string, { readonly name: ConditionName; readonly reading: Reading }>()
  for (const reading of readings) {
    const name = { alertType: rule.name, entityType: rule.entityType, entityId: reading.entityId, labels: reading.labels ?? {} }
    const key = keyOf(name)
    const other = found.get(key)
    if (!other || graveness.indexOf(reading.look) > graveness.indexOf(other.reading.look)) found.set(key, { name, reading })
  }
  return found
}

/** Looks at rules again and again, hears signals, and tells what begins, goes on and ends. */
export class Engine {
  readonly #options: EngineOptions
  readonly #history: History
  readonly #watched = new Map<string, Watched>()
  readonly #lookedAtMs = new Map<string, number>()
  #forget: (() => void) | undefined

  constructor(options: EngineOptions) {
    this.#options = options
    const back = options.rules.flatMap(({ when }) => when.map(lookedBackAt))
    this.#history = new History(
      back.flatMap(({ names }) => names),
      Math.max(0, ...back.map(({ overMs }) => overMs)),
    )
  }

  /** Hears signals from now on, after those that were raised before. */
  listen(): void {
    this.#forget = this.#options.signals.listen((signal) => this.#hear(signal), { replay: true })
  }

  stop(): void {
    this.#forget?.()
  }

  /** Types of alerts that this node would tell of while it says nothing of those that they mute. */
  firing(): readonly { readonly alertType: string; readonly mutes: readonly string[] }[] {
    return [...this.#watched.values()]
      .filter(({ memory }) => fires(memory.state))
      .map(({ name, mutes }) => ({ alertType: name.alertType, mutes }))
  }

  /** One look at everything that is due. */
  async look(): Promise<void> {
    const { rules, clock } = this.#options
    const facts = await this.#facts()
    const nowMs = clock.monotonicMs()
    const due = rules.filter(({ name, everyMs }) => nowMs - (this.#lookedAtMs.get(name) ?? Number.NEGATIVE_INFINITY) >= everyMs)
    const told = (await Promise.all(due.map((rule) => this.#lookAt(rule, facts)))).flat()
    this.#tell([...told, ...this.#endings(nowMs), ...this.#reminders(nowMs)])
  }

  async #facts(): Promise<Facts> {
    const { metrics, health, refresh, clock } = this.#options
    refresh?.()
    const [samples, report] = await Promise.all([metrics.read(), health.report()])
    const at = clock.monotonicMs()
    this.#history.add(at, samples)
    return {
      samples,
      before: (overMs) => this.#history.before(at, overMs),
      components: report.body.components,
      nowMs: clock.now(),
    }
  }

  async #lookAt(rule: Rule, facts: Facts): Promise<readonly AlertSignal[]> {
    const nowMs = this.#options.clock.monotonicMs()
    this.#lookedAtMs.set(rule.name, nowMs)
    const readings: Reading[] = []
    for (const condition of rule.when) {
      try {
        readings.push(...(await readCondition(condition, facts)))
      } catch (error) {
        this.#options.log.warn('a rule could not be looked at', { rule: rule.name, reason: reasonOf(error) })
      }
    }
    const found = gravest(rule, readings)
    const told = [...found.values()].flatMap(({ name, reading }) => this.#step(rule, name, reading.look, reading, nowMs))
    return [...told, ...this.#unseen(rule, found, nowMs)]
  }

  /** What was watched and is not there to be looked at any more. */
  #unseen(rule: Rule, seen: ReadonlyMap<string, unknown>, nowMs: number): readonly AlertSignal[] {
    return [...this.#watched].flatMap(([key, { name }]) =>
      name.alertType === rule.name && !seen.has(key) ? this.#step(rule, name, 'unknown', undefined, nowMs) : [],
    )
  }

  #step(rule: Rule, name: ConditionName, look: Look, reading: Reading | undefined, nowMs: number): readonly AlertSignal[] {
    const key = keyOf(name)
    const before = this.#watched.get(key)
    const memory = step(before?.memory ?? inactive(nowMs), look, rule, nowMs)
    const wasFiring = before !== undefined && fires(before.memory.state)
    const isFiring = fires(memory.state)
    if (!isFiring && memory.state !== 'pending') {
      this.#watched.delete(key)
      return wasFiring ? [this.#signal('resolve', before)] : []
    }
    const message =
      reading && (look === 'holds' || !before) ? maskSecrets(sentenceOf(rule, reading)) : (before?.message ?? rule.name)
    const { severity, mutes } = rule
    const watched = {
      name,
      memory,
      severity,
      mutes,
      message,
      saidAtMs: isFiring && !wasFiring ? nowMs : (before?.saidAtMs ?? nowMs),
    }
    this.#watched.set(key, watched)
    return isFiring && !wasFiring ? [this.#signal('raise', watched)] : []
  }

  #hear({ name, severity, subject, message }: Signal): void {
    const nowMs = this.#options.clock.monotonicMs()
    const begun = beginningOf(name)
    if (begun) {
      const condition = { alertType: name, entityType: begun.entityType, entityId: subject, labels: {} }
      const key = keyOf(condition)
      const watched: Watched = {
        name: condition,
        memory: { state: 'firing', sinceMs: nowMs, seenAtMs: nowMs },
        severity: severityOf(begun, severity),
        mutes: [],
        message,
        saidAtMs: nowMs,
        ...(begun.holdMs !== undefined && { endsAtMs: nowMs + begun.holdMs }),
      }
      this.#watched.set(key, watched)
      this.#tell([this.#signal('raise', watched)])
      return
    }
    for (const ended of endedBy(name)) this.#end(ended, subject, message)
  }

  #end(alertType: SignalName, subject: string, message: string): void {
    const { entityType } = beginningOf(alertType)!
    const key = keyOf({ alertType, entityType, entityId: subject, labels: {} })
    const watched = this.#watched.get(key)
    if (!watched) return
    this.#watched.delete(key)
    this.#tell([this.#signal('resolve', { ...watched, message })])
  }

  /** Signals without an end that were not raised again. */
  #endings(nowMs: number): readonly AlertSignal[] {
    return [...this.#watched].flatMap(([key, watched]) => {
      if (watched.endsAtMs === undefined || watched.endsAtMs > nowMs) return []
      this.#watched.delete(key)
      return [this.#signal('resolve', watched)]
    })
  }

  #reminders(nowMs: number): readonly AlertSignal[] {
    const { stillEveryMs = 60_000 } = this.#options
    return [...this.#watched].flatMap(([key, watched]) => {
      if (!fires(watched.memory.state) || nowMs - watched.saidAtMs < stillEveryMs) return []
      const said = { ...watched, saidAtMs: nowMs }
      this.#watched.set(key, said)
      return [this.#signal('still', said)]
    })
  }

  #signal(kind: SignalKind, { name, message, severity }: Watched): AlertSignal {
    const { source, clock } = this.#options
    return {
      ...name,
      id: randomUUID(),
      kind,
      message,
      severity,
      source,
      raisedAtMs: clock.now(),
      told: [],
      proposedId: undefined,
    }
  }

  #tell(signals: readonly AlertSignal[]): void {
    if (signals.length > 0) this.#options.onSignals(signals)
  }
}

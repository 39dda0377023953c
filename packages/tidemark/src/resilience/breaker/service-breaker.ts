import { reasonOf, TidemarkError } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import { maskSecrets } from '../../secrets.js'
import type { Clock } from '../../time/clock.js'
import type { BreakerOptions, BreakerSurroundings } from '../breaker.js'
import type { Breaker, BreakerCounts, BreakerRefusal, BreakerSnapshot } from './breaker.js'
import { type BreakerRules, breakerRules, isSick } from './breaker-rules.js'
import {
  type Circuit,
  endProbe,
  leaseProbe,
  newCircuit,
  type Operation,
  openCircuit,
  operateCircuit,
  type ProbeOutcome,
  type StepInput,
  withoutExpired,
} from './circuit.js'
import { EvidenceWindow } from './evidence.js'
import { judgeError, judgeResult, type Verdict } from './judge.js'
import type { CircuitAnswer } from './shared-circuits.js'
import { type Asked, type OwnReport, SharedView } from './shared-view.js'

/** What a call was let through as. Its outcome counts only while the breaker is still in that epoch. */
interface Permit {
  readonly epoch: number
  /** Of a probe; undefined for an ordinary call. */
  readonly token?: string
  readonly isShared?: boolean
}

/** While one caller asks for a probe, others are told to come back after this. */
const leasingMs = 50
const longestReason = 300

const signalNames = { OPEN: 'breaker.opened', HALF_OPEN: 'breaker.probing', CLOSED: 'breaker.closed' } as const

const probeOutcomes = {
  good: 'good',
  failed: 'bad',
  timeout: 'bad',
  slow: 'bad',
  throttled: 'gone',
  gone: 'gone',
} as const satisfies Record<Kind, ProbeOutcome>

type Kind = Verdict['kind'] | 'slow'

/**
 * The breaker of one service in one process. Calls are decided by what is in memory; the shared state comes into it now and then, and goes
 * before what this process saw alone.
 */
export class ServiceBreaker implements Breaker {
  readonly service: string
  readonly rules: BreakerRules
  readonly #options: BreakerOptions
  readonly #around: BreakerSurroundings
  readonly #clock: Clock
  readonly #log: Logger
  readonly #judge: (error: unknown) => Verdict
  readonly #judgeResult: (result: unknown) => Verdict
  readonly #evidence: EvidenceWindow
  readonly #counts: Record<Kind | 'refused', number> = {
    good: 0,
    failed: 0,
    timeout: 0,
    slow: 0,
    throttled: 0,
    gone: 0,
    refused: 0,
  }
  /** Wall time that never goes back: what people read agrees with the calendar, and a corrected clock opens nothing. */
  readonly #origin: number
  /** Times are this process's. */
  #circuit: Circuit = newCircuit
  #permit: Permit = { epoch: 0 }
  readonly #shared: SharedView
  #lastFailureAt: number | null = null
  #lastSuccessAt: number | null = null
  /** The shared state is closed, and this process has its own reasons not to be. */
  #isOwn = false
  #isLeasing = false
  #tokens = 0
  #isDirty = true
  #syncing: Promise<void> | undefined
  #isSyncWanted = false
  /** Told when something should be synchronised soon. */
  onUrgent: () => void = () => {}

  constructor(options: BreakerOptions, around: BreakerSurroundings, clock: Clock, log: Logger) {
    this.service = options.service
    this.rules = breakerRules(options)
    this.#options = options
    this.#around = around
    this.#clock = clock
    this.#log = log
    this.#origin = clock.now() - clock.monotonicMs()
    const { isFailure } = options
    this.#judge = isFailure ? (error) => ({ kind: isFailure(error) ? 'failed' : 'good' }) : (options.judge ?? judgeError)
    this.#judgeResult = options.judgeResult ?? ((result) => judgeResult(result, clock))
    this.#evidence = new EvidenceWindow(this.rules.windowMs)
    this.#shared = new SharedView({
      service: this.service,
      around,
      log,
      now: () => this.#now(),
      found: (circuit, isNew) => this.#adopt(circuit, isNew),
    })
  }

  get counts(): BreakerCounts {
    return this.#counts
  }

  /** Something happened that others have not heard of. */
  get isDirty(): boolean {
    return this.#isDirty
  }

  #now(): number {
    return this.#origin + this.#clock.monotonicMs()
  }

  #input(now: number): StepInput {
    return { now, rules: this.rules, random: (this.#options.random ?? Math.random)(), floor: this.#shared.floor }
  }

  refusal(): BreakerRefusal | undefined {
    const { state, throttledUntil } = this.#circuit
    return state === 'CLOSED' && throttledUntil === 0 ? undefined : this.#refusalAt(this.#now())
  }

  #refusalAt(now: number): BreakerRefusal | undefined {
    const { state, throttledUntil, forced, forcedUntil, until, probe, probeUntil } = withoutExpired(this.#circuit, now)
    const refuse = (ms: number, isThrottled = false): BreakerRefusal => ({ state, isThrottled, retryAfterMs: Math.ceil(ms) })
    if (throttledUntil > now) return refuse(throttledUntil - now, true)
    if (state === 'CLOSED') return undefined
    if (forced === 'OPEN') return refuse(forcedUntil > 0 ? forcedUntil - now : this.rules.maxRecoveryTimeoutMs)
    if (state === 'OPEN' && now < until) return refuse(until - now)
    if (state === 'HALF_OPEN' && probe !== '' && now < probeUntil) return refuse(probeUntil - now)
    return this.#isLeasing ? refuse(leasingMs) : undefined
  }

  #refused({ isThrottled, retryAfterMs }: BreakerRefusal): TidemarkError {
    this.#counts.refused += 1
    const { service } = this
    return new TidemarkError(isThrottled ? 'TM_RESILIENCE_THROTTLED' : 'TM_RESILIENCE_BREAKER_OPEN', { service, retryAfterMs })
  }

  async run<T>(call: (signal: AbortSignal) => Promise<T>, { signal }: { readonly signal?: AbortSignal } = {}): Promise<T> {
    signal?.throwIfAborted()
    const refusal = this.refusal()
    if (refusal) throw this.#refused(refusal)
    const permit = this.#circuit.state === 'CLOSED' ? this.#permit : await this.#lease()
    const startedAt = this.#clock.monotonicMs()
    let result: T
    try {
      result = await call(signal ?? new AbortController().signal)
    } catch (error) {
      const verdict: Verdict = signal?.aborted ? { kind: 'gone' } : this.#judge(error)
      await this.#end(permit, verdict, startedAt, () => reasonOf(error))
      throw error
    }
    const ending = this.#end(permit, this.#judgeResult(result), startedAt, () => 'it answered badly')
    if (ending) await ending
    return result
  }

  /** One probe at a time, of all processes where they can be asked. */
  async #lease(): Promise<Permit> {
    this.#tokens += 1
    const token = `${this.#around.instance}:${this.#tokens}`
    if (this.#shared.isThere && !this.#isOwn) {
      this.#isLeasing = true
      const answer = await this.#ask({ op: 'lease', token }).finally(() => {
        this.#isLeasing = false
      })
      if (answer?.isGranted) return { epoch: this.#circuit.epoch, token, isShared: true }
      if (answer) return this.#otherwise()
    }
    const { circuit, isGranted } = leaseProbe(withoutExpired(this.#circuit, this.#now()), token, this.#input(this.#now()))
    this.#decide(circuit)
    return isGranted ? { epoch: circuit.epoch, token, isShared: false } : this.#otherwise()
  }

  /** Somebody else probes, or the service is back. */
  #otherwise(): Permit {
    const refusal = this.refusal()
    if (refusal || this.#circuit.state !== 'CLOSED')
      throw this.#refused(refusal ?? { state: this.#circuit.state, isThrottled: false, retryAfterMs: leasingMs })
    return this.#permit
  }

  /** Gives a promise only where others have to hear of it. */
  #end(permit: Permit, verdict: Verdict, startedAt: number, why: () => string): Promise<void> | undefined {
    const nowMs = this.#clock.monotonicMs()
    const isSlow = verdict.kind === 'good' && nowMs - startedAt > this.rules.slowCallMs
    const kind = isSlow ? 'slow' : verdict.kind
    this.#counts[kind] += 1
    if (verdict.kind === 'throttled') this.#throttle(verdict.retryAfterMs)
    if (permit.token !== undefined)
      return this.#endProbe(permit, permit.token, probeOutcomes[kind], () => this.#reason(kind, why))
    if (permit.epoch !== this.#circuit.epoch || kind === 'gone' || kind === 'throttled') return undefined
    this.#isDirty = true
    if (kind === 'good') {
      this.#evidence.good(nowMs)
      this.#lastSuccessAt = this.#origin + nowMs
      return undefined
    }
    this.#evidence.failed(nowMs, kind === 'timeout')
    this.#lastFailureAt = this.#origin + nowMs
    this.#evaluate(() => this.#reason(kind, why))
    return undefined
  }

  #reason(kind: Kind, why: () => string): string {
    const text = kind === 'slow' ? `a call took longer than ${this.rules.slowCallMs} ms` : why()
    return maskSecrets(text).slice(0, longestReason)
  }

  #throttle(retryAfterMs: number): void {
    const until = this.#now() + Math.min(retryAfterMs, this.rules.maxRecoveryTimeoutMs)
    if (until <= this.#circuit.throttledUntil) return
    this.#circuit = { ...this.#circuit, throttledUntil: until }
    this.#urge()
  }

  async #endProbe(permit: Permit, token: string, outcome: ProbeOutcome, why: () => string): Promise<void> {
    const reason = outcome === 'bad' ? why() : ''
    if (permit.isShared && this.#shared.isThere && (await this.#ask({ op: 'end', token, outcome, reason }))) return
    this.#decide(endProbe(this.#circuit, token, outcome, reason, this.#input(this.#now())))
  }

  /** What this process saw is enough for itself; whether it is for all, votes tell. */
  #evaluate(why: () => string): void {
    const circuit = withoutExpired(this.#circuit, this.#now())
    if (circuit.state !== 'CLOSED' || circuit.forced === 'CLOSED' || !isSick(this.#evidence, this.rules)) return
    const isTogether = this.#shared.isThere
    this.#isOwn = isTogether
    this.#decide(openCircuit(circuit, this.#evidence.bad, why(), this.#input(this.#now())))
    if (isTogether) this.#urge()
  }

  /** This process decided by itself. It is a transition of its own where nobody else can be asked. */
  #decide(next: Circuit): void {
    const { state: from, failureCount: before } = this.#circuit
    const { state: to, epoch, reason } = next
    const failureCount = to === 'CLOSED' ? before : next.failureCount
    if (from !== to && !this.#isOwn) {
      const at = Math.round(this.#now())
      void this.#shared.keep({
        service: this.service,
        from,
        to,
        epoch,
        failureCount,
        at,
        reason,
        instance: this.#around.instance,
      })
    }
    this.#set(next)
    if (next.state === 'CLOSED') this.#isOwn = false
  }

  #set(next: Circuit): void {
    const before = this.#circuit
    const throttledUntil = next.throttledUntil > this.#now() ? next.throttledUntil : 0
    this.#circuit = { ...next, throttledUntil }
    if (next.epoch !== before.epoch) this.#permit = { epoch: next.epoch }
    if (next.state === before.state) return
    if (next.state === 'CLOSED') this.#evidence.clear()
    this.#announce(before, next)
  }

  #announce({ state: from, failureCount: before }: Circuit, { state: to, failureCount: after, reason }: Circuit): void {
    const { service } = this
    const { onTransition, signals } = this.#options
    const failureCount = to === 'CLOSED' ? before : after
    this.#log.info('circuit breaker changed state', { service, from, to, reason, failureCount, own: this.#isOwn })
    const message = `The circuit breaker of ${service} went from ${from} to ${to}: ${reason}.`
    signals?.raise({ name: signalNames[to], subject: service, message, details: { from, to, failureCount, own: this.#isOwn } })
    const change = { service, from, to, failureCount, reason }
    void (async () => onTransition?.(change))().catch((err: unknown) => this.#log.error('a listener to breakers failed', { err }))
  }

  #urge(): void {
    this.#isDirty = true
    this.onUrgent()
  }

  /** Tells the shared state what was seen, and takes over what it is. */
  sync(): Promise<void> {
    if (this.#syncing) {
      this.#isSyncWanted = true
      return this.#syncing
    }
    this.#syncing = this.#syncOnce().finally(() => {
      this.#syncing = undefined
    })
    return this.#syncing
  }

  async #syncOnce(): Promise<void> {
    do {
      this.#isSyncWanted = false
      this.#isDirty = false
      await this.#ask({ op: 'sync' })
    } while (this.#isSyncWanted && this.#shared.isThere)
  }

  seed(): Promise<void> {
    return this.#shared.seed()
  }

  #report(): OwnReport {
    const now = this.#now()
    this.#evidence.slide(now - this.#origin)
    const ago = (at: number | null) => (at === null ? null : Math.max(0, Math.round(now - at)))
    const { calls, bad, timeouts } = this.#evidence
    return {
      rules: this.rules,
      random: (this.#options.random ?? Math.random)(),
      evidence: { calls, bad, timeouts },
      failedAgoMs: ago(this.#lastFailureAt),
      succeededAgoMs: ago(this.#lastSuccessAt),
      throttledMs: Math.max(0, Math.round(this.#circuit.throttledUntil - now)),
    }
  }

  async #ask(asked: Asked): Promise<CircuitAnswer | undefined> {
    const answer = await this.#shared.ask(asked, this.#report())
    if (!answer && this.#around.shared) this.#isDirty = true
    return answer
  }

  #adopt(shared: Circuit, isNew: boolean): void {
    // What this process was told while it asked, the others hear of next.
    const throttledUntil = isNew ? shared.throttledUntil : Math.max(shared.throttledUntil, this.#circuit.throttledUntil)
    const local = { ...shared, throttledUntil }
    if (isNew || shared.state !== 'CLOSED' || shared.forced !== null) {
      if (isNew) this.#evidence.clear()
      this.#isOwn = false
      this.#set(local)
    } else if (this.#circuit.state === 'CLOSED') this.#set({ ...local, epoch: this.#circuit.epoch })
    else this.#isOwn = true
  }

  read(): BreakerSnapshot {
    const now = this.#now()
    this.#evidence.slide(now - this.#origin)
    const { calls, bad, timeouts } = this.#evidence
    const circuit = withoutExpired(this.#circuit, now)
    const { state, epoch, openedAt, reason, forced, forcedUntil } = circuit
    const later = (a: number | null, b: number | null) => (a === null || b === null ? (a ?? b) : Math.max(a, b))
    return {
      service: this.service,
      state,
      scope: this.#shared.isThere && !this.#isOwn ? 'shared' : 'own',
      epoch,
      failureCount: state === 'CLOSED' ? Math.max(bad, circuit.failureCount) : circuit.failureCount,
      lastFailureAt: later(circuit.lastFailureAt, this.#lastFailureAt),
      lastSuccessAt: later(circuit.lastSuccessAt, this.#lastSuccessAt),
      openedAt,
      retryAfterMs: this.#refusalAt(now)?.retryAfterMs ?? 0,
      reason,
      forced,
      forcedUntil: forcedUntil === 0 ? null : forcedUntil,
      evidence: { calls, bad, timeouts },
    }
  }

  async operate(operation: Operation): Promise<BreakerSnapshot> {
    const told = { ...operation, reason: maskSecrets(operation.reason).slice(0, longestReason) }
    if (told.act === 'reset') this.#circuit = { ...this.#circuit, throttledUntil: 0 }
    if (!(await this.#ask({ op: 'operate', ...told }))) {
      this.#isOwn = false
      this.#decide(operateCircuit(this.#circuit, told, this.#input(this.#now())))
      if (told.act === 'reset') this.#evidence.clear()
    }
    return this.read()
  }
}

import { exponential } from '../backoff.js'
import type { BreakerRules } from './breaker-rules.js'

export type BreakerState = 'CLOSED' | 'OPEN' | 'HALF_OPEN'

/** All that is known of one service. Times are milliseconds since 1970 on one clock; null and 0 where there is none. */
export interface Circuit {
  readonly state: BreakerState
  /** Grows with each change of state; 0 where there never was one. */
  readonly epoch: number
  /** Openings without a closing between them: the power of the back-off. */
  readonly openings: number
  readonly openedAt: number | null
  /** While open: from when on a probe may go through. */
  readonly until: number
  /** While half open: whose the probe is, and until when. Empty where nobody probes. */
  readonly probe: string
  readonly probeUntil: number
  /** Good probes, one after another. */
  readonly successes: number
  /** Held by an operator, until then; 0 for until it is taken back. */
  readonly forced: 'OPEN' | 'CLOSED' | null
  readonly forcedUntil: number
  /** The service asked to be left alone until then. */
  readonly throttledUntil: number
  /** Why it is in this state; empty where it always was. */
  readonly reason: string
  /** Bad calls that are known of; while it is not closed, those that opened it. */
  readonly failureCount: number
  readonly lastFailureAt: number | null
  readonly lastSuccessAt: number | null
}

export const newCircuit: Circuit = {
  state: 'CLOSED',
  epoch: 0,
  openings: 0,
  openedAt: null,
  until: 0,
  probe: '',
  probeUntil: 0,
  successes: 0,
  forced: null,
  forcedUntil: 0,
  throttledUntil: 0,
  reason: '',
  failureCount: 0,
  lastFailureAt: null,
  lastSuccessAt: null,
}

/** What a step needs besides the circuit. Chance comes from outside, so that a step can be repeated. */
export interface StepInput {
  readonly now: number
  readonly rules: BreakerRules
  /** From 0 up to 1. */
  readonly random: number
  /** Epochs grow from here on, even where the circuit itself was lost. */
  readonly floor: number
}

const free = { probe: '', probeUntil: 0 } as const

const enter = (circuit: Circuit, state: BreakerState, reason: string, { now, floor }: StepInput): Circuit => ({
  ...circuit,
  ...free,
  state,
  reason,
  successes: 0,
  epoch: Math.max(circuit.epoch + 1, floor + 1, Math.floor(now)),
})

export const openCircuit = (circuit: Circuit, failureCount: number, reason: string, input: StepInput): Circuit => {
  const { now, rules, random } = input
  const openings = circuit.openings + 1
  const backoffMs = exponential(openings, { baseMs: rules.recoveryTimeoutMs, maxMs: rules.maxRecoveryTimeoutMs })
  const until = Math.ceil(now + backoffMs * (1 + rules.jitter * random))
  return { ...enter(circuit, 'OPEN', reason, input), openings, openedAt: now, until, failureCount }
}

const closeCircuit = (circuit: Circuit, reason: string, input: StepInput): Circuit => ({
  ...enter(circuit, 'CLOSED', reason, input),
  openings: 0,
  openedAt: null,
  until: 0,
  failureCount: 0,
})

/** What an operator holds ends with its time; what was held open begins to probe. */
export const withoutExpired = (circuit: Circuit, now: number): Circuit => {
  const { forced, forcedUntil } = circuit
  if (forced === null || forcedUntil === 0 || now < forcedUntil) return circuit
  return { ...circuit, forced: null, forcedUntil: 0, ...(forced === 'OPEN' && { until: now }) }
}

/** Asks for the one probe that may be under way. */
export const leaseProbe = (
  circuit: Circuit,
  token: string,
  input: StepInput,
): { readonly circuit: Circuit; readonly isGranted: boolean } => {
  const { now, rules } = input
  if (circuit.forced !== null || circuit.state === 'CLOSED') return { circuit, isGranted: false }
  if (circuit.state === 'OPEN' && now < circuit.until) return { circuit, isGranted: false }
  const probing = circuit.state === 'OPEN' ? enter(circuit, 'HALF_OPEN', 'the back-off is over', input) : circuit
  if (probing.probe !== '' && now < probing.probeUntil) return { circuit, isGranted: false }
  return { circuit: { ...probing, probe: token, probeUntil: now + rules.probeLeaseMs }, isGranted: true }
}

/** `gone`: the caller gave up, or was told to come back later; it says nothing of the service. */
export type ProbeOutcome = 'good' | 'bad' | 'gone'

/** The probe of that token ended. Another's, or one that was given up and taken by another, changes nothing. */
export const endProbe = (circuit: Circuit, token: string, outcome: ProbeOutcome, reason: string, input: StepInput): Circuit => {
  if (circuit.state !== 'HALF_OPEN' || circuit.probe !== token) return circuit
  const { now, rules } = input
  if (outcome === 'gone') return { ...circuit, ...free }
  if (outcome === 'bad') return { ...openCircuit(circuit, circuit.failureCount + 1, reason, input), lastFailureAt: now }
  const successes = circuit.successes + 1
  const told = { ...circuit, ...free, successes, lastSuccessAt: now }
  return successes < rules.successesToClose ? told : closeCircuit(told, 'the probes succeeded', input)
}

/** What an operator does. */
export interface Operation {
  readonly act: 'open' | 'close' | 'reset'
  readonly reason: string
  /** How long it is held; 0 for until it is taken back. */
  readonly forMs: number
}

/** `open` and `close` hold it there; `reset` lets go, and begins anew with nothing counted. */
export const operateCircuit = (circuit: Circuit, { act, reason, forMs }: Operation, input: StepInput): Circuit => {
  if (act === 'reset') {
    const released: Circuit = { ...circuit, forced: null, forcedUntil: 0, throttledUntil: 0 }
    return closeCircuit(released, reason, input)
  }
  const forcedUntil = forMs > 0 ? input.now + forMs : 0
  if (act === 'close') {
    const closed = circuit.state === 'CLOSED' ? { ...circuit, reason } : closeCircuit(circuit, reason, input)
    return { ...closed, forced: 'CLOSED', forcedUntil }
  }
  const held = { forced: 'OPEN', forcedUntil, until: forcedUntil } as const
  if (circuit.state === 'OPEN') return { ...circuit, ...held, reason }
  return { ...enter(circuit, 'OPEN', reason, input), ...held, openedAt: input.now }
}

import type { BreakerRules, Evidence } from './breaker-rules.js'
import type { BreakerState, Circuit, Operation, ProbeOutcome } from './circuit.js'

/** One change of state: a row of `circuit_breaker_events`. */
export interface CircuitTransition {
  readonly service: string
  readonly from: BreakerState
  readonly to: BreakerState
  /** With the service, and `instance` where it is not shared, unique. */
  readonly epoch: number
  readonly failureCount: number
  /** Wall time in milliseconds since 1970. */
  readonly at: number
  readonly reason: string
  /** Empty where it holds for all; else the process that decided for itself. */
  readonly instance: string
}

/** Where transitions are kept for people: exactly once each, whoever tells of them and however often. */
export interface BreakerRows {
  /** Resolves when it cannot get lost any more. */
  add(transition: CircuitTransition): Promise<void>
  /** The last epoch that is known of a service; 0 where none is. */
  lastEpoch(service: string): Promise<number>
}

/** Of one process, to the shared state. */
export interface CircuitReport {
  readonly rules: BreakerRules
  readonly random: number
  readonly floor: number
  /** What was seen since that epoch; it counts only while that is the present one. */
  readonly evidence: Evidence
  readonly epoch: number
  /** How long ago; null where it never happened. */
  readonly failedAgoMs: number | null
  readonly succeededAgoMs: number | null
  /** For how long the service asked to be left alone; 0 where it did not. */
  readonly throttledMs: number
  /** What was last read. Where the shared state was lost, it is this again. */
  readonly known: Circuit | undefined
  /** Transitions that cannot get lost any more. */
  readonly kept: readonly number[]
  /** Of somebody who does not call the service: has no vote, and is not counted among those who do. */
  readonly isGuest?: boolean
}

export type CircuitRequest =
  | ({ readonly op: 'sync' } & CircuitReport)
  | ({ readonly op: 'lease'; readonly token: string } & CircuitReport)
  | ({ readonly op: 'end'; readonly token: string; readonly outcome: ProbeOutcome; readonly reason: string } & CircuitReport)
  | ({ readonly op: 'operate' } & Operation & CircuitReport)

export interface CircuitAnswer {
  readonly circuit: Circuit
  /** The shared clock, as of the answer. */
  readonly now: number
  readonly isGranted: boolean
  /** Processes that told of themselves within the last seconds, and those whose evidence speaks for opening. */
  readonly live: number
  readonly voters: number
  /** Caused by this request, or left over by somebody who did not keep them. */
  readonly transitions: readonly CircuitTransition[]
}

/** State of circuits that processes have in common. Each request is one atomic step, timed by the shared clock. */
export interface SharedCircuits {
  ask(service: string, request: CircuitRequest): Promise<CircuitAnswer>
  /** Services that anybody has told of. */
  services(): Promise<readonly string[]>
  /** Without taking part. Undefined where nobody has told of it. */
  read(service: string): Promise<Pick<CircuitAnswer, 'circuit' | 'now' | 'live' | 'voters'> | undefined>
  /** Calls the listener where somebody else changed a circuit, as far as word comes through; again for every service when it may have been lost. */
  onChange(listener: (service: string | undefined) => void): () => void
  stop(): Promise<void>
}

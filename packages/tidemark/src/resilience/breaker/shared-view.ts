import type { Logger } from '../../observability/observability.js'
import type { BreakerSurroundings } from '../breaker.js'
import type { Circuit, Operation, ProbeOutcome } from './circuit.js'
import type { CircuitAnswer, CircuitReport, CircuitRequest, CircuitTransition } from './shared-circuits.js'

export interface SharedViewOptions {
  readonly service: string
  readonly around: BreakerSurroundings
  readonly log: Logger
  /** Milliseconds, on this process's own clock. */
  readonly now: () => number
  /** The shared circuit, with its times on this process's clock; `isNew` where it is another than the one before. */
  readonly found: (circuit: Circuit, isNew: boolean) => void
}

/** What is asked of the shared state. */
export type Asked =
  | { readonly op: 'sync' }
  | { readonly op: 'lease'; readonly token: string }
  | { readonly op: 'end'; readonly token: string; readonly outcome: ProbeOutcome; readonly reason: string }
  | ({ readonly op: 'operate' } & Operation)

/** What the process itself has to tell. */
export type OwnReport = Omit<CircuitReport, 'floor' | 'epoch' | 'known' | 'kept'>

/** The circuit with its times on another clock. */
const shifted = (circuit: Circuit, byMs: number): Circuit => {
  const at = <T extends number | null>(time: T): T => (time === null || time === 0 ? time : ((time + byMs) as T))
  return {
    ...circuit,
    openedAt: at(circuit.openedAt),
    until: at(circuit.until),
    probeUntil: at(circuit.probeUntil),
    forcedUntil: at(circuit.forcedUntil),
    throttledUntil: at(circuit.throttledUntil),
    lastFailureAt: at(circuit.lastFailureAt),
    lastSuccessAt: at(circuit.lastSuccessAt),
  }
}

/** What one process knows of the circuit that all have in common, and how it asks for it. */
export class SharedView {
  readonly #options: SharedViewOptions
  /** As it was last read, with its own times. */
  #known: Circuit | undefined
  #epoch = 0
  /** Transitions that were kept, and of which the shared state has not heard that. */
  #kept: number[] = []
  #isAway = false
  #floor = 0

  constructor(options: SharedViewOptions) {
    this.#options = options
  }

  /** Whether there is a shared state, and it answers. */
  get isThere(): boolean {
    return this.#options.around.shared !== undefined && !this.#isAway
  }

  /** Epochs are larger than this. */
  get floor(): number {
    return this.#floor
  }

  /** Epochs go on from where Postgres saw them last. While it is away, the clock alone keeps them growing. */
  async seed(): Promise<void> {
    const { around, service } = this.#options
    this.#floor = (await around.rows?.lastEpoch(service).catch(() => 0)) ?? 0
  }

  /** Undefined where there is nobody to be asked. */
  async ask(asked: Asked, own: OwnReport): Promise<CircuitAnswer | undefined> {
    const { around, service, log } = this.#options
    const report: CircuitReport = { ...own, floor: this.#floor, epoch: this.#epoch, known: this.#known, kept: [...this.#kept] }
    try {
      const answer = await around.shared?.ask(service, { ...report, ...asked } as CircuitRequest)
      if (!answer) return undefined
      this.#kept = this.#kept.filter((epoch) => !report.kept.includes(epoch))
      this.#adopt(answer)
      return answer
    } catch (err) {
      if (!this.#isAway) log.warn('the shared state of a breaker is away; it goes by what it sees', { service, err })
      this.#isAway = true
      return undefined
    }
  }

  #adopt({ circuit, now, transitions }: CircuitAnswer): void {
    const { service, log, found } = this.#options
    if (this.#isAway) log.info('the shared state of a breaker is there again', { service })
    this.#isAway = false
    for (const transition of transitions) void this.keep(transition)
    // Overtaken by a later one.
    if (circuit.epoch < this.#epoch) return
    const isNew = circuit.epoch !== this.#epoch
    this.#known = circuit
    this.#epoch = circuit.epoch
    found(shifted(circuit, this.#options.now() - now), isNew)
  }

  /** Keeps a transition for people. */
  async keep(transition: CircuitTransition): Promise<void> {
    const { around, log } = this.#options
    try {
      await around.rows?.add(transition)
      // Only what is shared was waiting to be kept by somebody.
      if (transition.instance === '') this.#kept.push(transition.epoch)
    } catch (err) {
      log.error('a transition of a breaker could not be kept', { ...transition, err })
    }
  }
}

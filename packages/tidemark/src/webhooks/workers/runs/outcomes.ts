import { reasonOf } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import type { Clock } from '../../../time/clock.js'
import type { OwnedPartition } from '../partitions/owned-partition.js'
import type { Buried, PutOff, Queue } from '../queues/queue.js'
import type { WorkerMetrics } from '../worker-metrics.js'
import type { Outcome } from './attempt.js'
import type { HeldEvent } from './held-event.js'

export interface OutcomesOptions {
  readonly queue: Queue
  readonly metrics: WorkerMetrics
  readonly clock: Clock
  readonly log: Logger
  died(event: HeldEvent, reason: string): void
}

/** What became of events of one partition, for all who have to hear it. */
export class Outcomes {
  readonly #options: OutcomesOptions
  readonly #settled: HeldEvent[] = []
  readonly #putOff: PutOff[] = []
  readonly #buried: Buried[] = []

  constructor(options: OutcomesOptions) {
    this.#options = options
  }

  add(event: HeldEvent, outcome: Outcome): void {
    const { metrics, clock } = this.#options
    switch (outcome.kind) {
      case 'back':
        return
      case 'failed':
        metrics.retried()
        this.#putOff.push({ event, dueAtMs: clock.now() + outcome.retryInMs })
        return
      case 'dead':
        if (outcome.isNew) this.#tellOfDeath(event, outcome.reason)
        this.#buried.push({ event, reason: outcome.reason, error: outcome.error })
        return
      case 'processed':
        metrics.processed(event.type, clock.now() - event.receivedAtMs)
        this.#settled.push(event)
        return
      case 'skipped':
        metrics.skipped()
        this.#settled.push(event)
        return
      case 'stored':
        this.#settled.push(event)
    }
  }

  #tellOfDeath(event: HeldEvent, reason: string): void {
    const { metrics, log, died } = this.#options
    metrics.dead(reason)
    log.warn('an event is a dead letter', { id: event.id, provider: event.provider, type: event.type, reason })
    died(event, reason)
  }

  /** What the queue does not hear it gives again, and the rows then tell that it is done. */
  async tellQueue({ number }: OwnedPartition): Promise<void> {
    const { queue, log } = this.#options
    try {
      await Promise.all([
        queue.settle(number, this.#settled),
        queue.putOff(number, this.#putOff),
        queue.bury(number, this.#buried),
      ])
    } catch (error) {
      log.debug('the queue did not hear what became of events', { reason: reasonOf(error) })
    }
  }
}

import { TidemarkError } from '../errors.js'
import { positiveInteger } from './checks.js'

export interface BulkheadOptions {
  /** Names what is called, in the error. */
  readonly service: string
  /** Calls at once. */
  readonly maxConcurrent: number
  /** Callers that wait for their turn; the next is refused. Default 0. */
  readonly maxWaiting?: number
}

/** Keeps one slow service from taking all of a process: so many calls at once, so many waiting, the rest is refused at once. */
export interface Bulkhead {
  readonly running: number
  readonly waiting: number
  /** Makes the call when it is its turn. Raises TM_RESILIENCE_BULKHEAD_FULL, and the reason of `signal` where that ends the wait. */
  run<T>(call: () => Promise<T>, options?: { readonly signal?: AbortSignal }): Promise<T>
}

interface Waiter {
  readonly enter: () => void
}

/** Makes a bulkhead. Raises TM_RESILIENCE_BAD_OPTION. */
export const createBulkhead = ({ service, maxConcurrent, maxWaiting = 0 }: BulkheadOptions): Bulkhead => {
  positiveInteger({ maxConcurrent, 'maxWaiting + 1': maxWaiting + 1 })
  let running = 0
  const queue = new Set<Waiter>()

  const turn = (signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const abort = (): void => {
        queue.delete(waiter)
        reject(signal?.reason)
      }
      const waiter: Waiter = {
        enter: () => {
          signal?.removeEventListener('abort', abort)
          resolve()
        },
      }
      queue.add(waiter)
      signal?.addEventListener('abort', abort, { once: true })
    })

  /** Whoever leaves gives the place to who waits longest, so that nobody slips in between. */
  const leave = (): void => {
    const [next] = queue
    if (!next) {
      running -= 1
      return
    }
    queue.delete(next)
    next.enter()
  }

  return {
    get running() {
      return running
    },
    get waiting() {
      return queue.size
    },
    run: async (call, { signal } = {}) => {
      signal?.throwIfAborted()
      if (running < maxConcurrent) running += 1
      else if (queue.size >= maxWaiting)
        throw new TidemarkError('TM_RESILIENCE_BULKHEAD_FULL', { service, maxConcurrent, waiting: queue.size })
      else await turn(signal)
      try {
        return await call()
      } finally {
        leave()
      }
    },
  }
}

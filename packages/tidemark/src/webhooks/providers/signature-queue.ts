import { type KeyObject, verify } from 'node:crypto'
import { TidemarkError } from '../../errors.js'

export interface SignatureQueueOptions {
  /** Checked at a time, in the thread pool. Default 4, which is the size of it. */
  readonly maxRunning?: number
  /** Beyond, deliveries are refused for the moment. Default 1,000. */
  readonly maxWaiting?: number
}

/** Checks signatures of public keys away from the event loop: each takes longer than all else that is done to a delivery. */
export interface SignatureQueue {
  /** Raises TM_WEBHOOKS_BUSY. */
  verify(algorithm: 'sha256' | null, message: Buffer, key: KeyObject, signature: Buffer): Promise<boolean>
  readonly waiting: number
}

export const createSignatureQueue = ({ maxRunning = 4, maxWaiting = 1000 }: SignatureQueueOptions = {}): SignatureQueue => {
  const waiting: (() => void)[] = []
  let running = 0

  const finish = (): void => {
    running -= 1
    waiting.shift()?.()
  }

  return {
    get waiting() {
      return waiting.length
    },
    verify: (algorithm, message, key, signature) =>
      new Promise((resolve, reject) => {
        const start = (): void => {
          running += 1
          verify(algorithm, message, key, signature, (error, valid) => {
            finish()
            // What OpenSSL cannot read as a signature is none.
            resolve(!error && valid)
          })
        }
        if (running < maxRunning) start()
        else if (waiting.length < maxWaiting) waiting.push(start)
        else reject(new TidemarkError('TM_WEBHOOKS_BUSY', { waiting: waiting.length }))
      }),
  }
}

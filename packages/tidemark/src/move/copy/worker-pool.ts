/** A few workers that take parts of tables from one queue, each in a thread of its own or, for small files, all in the caller's. */
import { Worker } from 'node:worker_threads'
import { TidemarkError } from '../../errors.js'
import { builtWorker } from '../built-worker.js'
import { unpackError } from '../portable-error.js'
import type { CopyUnit } from './copy-unit.js'
import { serveUnits, type WorkerData, type WorkerMessage, type WorkerRequest } from './unit-server.js'

export interface WorkerPoolOptions {
  readonly data: WorkerData
  /** 0: no threads. */
  readonly workers: number
  readonly signal: AbortSignal
  readonly onMessage: (message: WorkerMessage) => void
}

interface Link {
  send(request: WorkerRequest): void
  close(): Promise<void>
}

type Deliver = (message: WorkerMessage | { readonly type: 'ready' }) => void

const threadLink = (data: WorkerData, deliver: Deliver, fail: (error: Error) => void): Link => {
  // A small young generation: the copy's buffers live outside the heap, and rows die young.
  const worker = new Worker(builtWorker('copy/copy-worker.js'), {
    workerData: data,
    resourceLimits: { maxYoungGenerationSizeMb: 4 },
  })
  let closing = false
  worker.on('message', deliver)
  worker.on('error', (error) => fail(new TidemarkError('TM_MOVE_WORKER', { reason: error.message }, { cause: error })))
  const ended = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      if (!closing) fail(new TidemarkError('TM_MOVE_WORKER', { reason: `it exited with ${code}` }))
      resolve()
    })
  })
  return {
    send: (request) => worker.postMessage(request),
    close: async () => {
      closing = true
      worker.postMessage({ type: 'stop' } satisfies WorkerRequest)
      const timer = setTimeout(() => void worker.terminate(), 5000)
      await ended
      clearTimeout(timer)
    },
  }
}

const ownLink = (data: WorkerData, deliver: Deliver, fail: (error: Error) => void): Link => {
  const server = serveUnits(data, deliver)
  server.then(() => deliver({ type: 'ready' }), fail)
  return {
    send: (request) => {
      if (request.type === 'copy') void server.then((opened) => opened.copy(request.unit), fail)
      else if (request.type === 'abort') void server.then((opened) => opened.abort(), fail)
    },
    close: () => server.then((opened) => opened.stop()).catch(() => undefined),
  }
}

/** Copies all units; rejects with the first failure, after the others were told to stop. */
export const runUnits = async (
  units: readonly CopyUnit[],
  { data, workers, signal, onMessage }: WorkerPoolOptions,
): Promise<void> => {
  const queue = [...units]
  const links: Link[] = []
  if (queue.length === 0) return
  try {
    await new Promise<void>((resolve, reject) => {
      let open = queue.length
      const abort = () => {
        for (const link of links) link.send({ type: 'abort' })
        reject(signal.reason)
      }
      signal.addEventListener('abort', abort, { once: true })
      if (signal.aborted) abort()
      const start = (index: number): Link => {
        const next = () => {
          const unit = queue.shift()
          if (unit) links[index]!.send({ type: 'copy', unit })
        }
        const deliver: Deliver = (message) => {
          if (message.type === 'ready') return next()
          onMessage(message)
          if (message.type === 'failed') return reject(unpackError(message.error))
          if (message.type !== 'done') return undefined
          if (--open === 0) resolve()
          else next()
        }
        return workers === 0 ? ownLink(data, deliver, reject) : threadLink(data, deliver, reject)
      }
      for (let i = 0; i < Math.max(1, Math.min(workers, queue.length)); i++) links.push(start(i))
    })
  } finally {
    for (const link of links) link.send({ type: 'abort' })
    await Promise.all(links.map((link) => link.close()))
  }
}

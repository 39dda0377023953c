import type { ServerResponse } from 'node:http'

const heartbeatMs = 15_000
/** A reader that lets so much wait gets no more until it has read some. */
const maxBufferedBytes = 256 * 1024

/** An answer of Server-Sent Events. */
export interface EventResponse {
  /** False where the reader does not keep up: the event is not sent. */
  send(event: string, data: unknown, id?: string): boolean
  /** Resolves when more may be sent. */
  drained(): Promise<void>
  readonly isOver: boolean
  end(): void
}

/** Begins one. `onClose` is told once, when the client has gone or `end` was called. */
export const beginEvents = (response: ServerResponse, onClose: () => void): EventResponse => {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  response.write('retry: 1000\n\n')
  const heartbeat = setInterval(() => response.write(': still here\n\n'), heartbeatMs)
  heartbeat.unref()
  response.once('close', () => {
    clearInterval(heartbeat)
    onClose()
  })
  const isFull = (): boolean => response.writableLength > maxBufferedBytes
  return {
    send: (event, data, id) => {
      if (response.closed || response.writableEnded || isFull()) return false
      response.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
      return true
    },
    drained: () =>
      new Promise((resolve) => {
        if (response.closed || !isFull()) return resolve()
        const done = (): void => {
          response.off('drain', done).off('close', done)
          resolve()
        }
        response.on('drain', done).on('close', done)
      }),
    get isOver() {
      return response.closed || response.writableEnded
    },
    end: () => {
      clearInterval(heartbeat)
      response.end()
    },
  }
}

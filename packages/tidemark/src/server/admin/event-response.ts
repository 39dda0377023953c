import type { FastifyReply, FastifyRequest } from 'fastify'
import { longestTimerMs } from '../../time/clock.js'
import { type Operator, operatorOf } from './operator.js'

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

/** Calls when the session of an operator ends, which is as long as they may be told anything. Gives what forgets it. */
export const endWithSession = ({ untilMs }: Operator, end: () => void): (() => void) => {
  if (untilMs === undefined) return () => undefined
  // Whoever is still signed in by then comes again by itself, with the session as it is then.
  const timer = setTimeout(end, Math.min(Math.max(0, untilMs - Date.now()), longestTimerMs))
  timer.unref()
  return () => clearTimeout(timer)
}

/** Begins one. It lasts no longer than the operator's session. `onClose` is told once, when the client has gone or it has ended. */
export const beginEvents = (request: FastifyRequest, reply: FastifyReply, onClose: () => void): EventResponse => {
  const operator = operatorOf(request)
  reply.hijack()
  const response = reply.raw
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  response.write('retry: 1000\n\n')
  const heartbeat = setInterval(() => response.write(': still here\n\n'), heartbeatMs)
  heartbeat.unref()
  const end = (): void => {
    clearInterval(heartbeat)
    forgetSession()
    response.end()
  }
  const forgetSession = endWithSession(operator, end)
  response.once('close', () => {
    clearInterval(heartbeat)
    forgetSession()
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
    end,
  }
}

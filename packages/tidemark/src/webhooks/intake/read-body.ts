import type { Readable } from 'node:stream'
import type { Clock } from '../../time/clock.js'

export type BodyRead =
  | { readonly ok: true; readonly raw: Buffer }
  | { readonly ok: false; readonly reason: 'too_large' | 'too_slow' | 'aborted' }

export interface BodyReader {
  /** Reads no further than `maxBytes`, and no longer than the time-out. */
  read(body: Readable, maxBytes: number): Promise<BodyRead>
  stop(): void
}

interface Reading {
  readonly deadlineMs: number
  cut(): void
}

/** How often it is looked whose time is over: one timer for all is cheaper than one for each. */
const lookEveryMs = 500

const readOne = (body: Readable, maxBytes: number, begin: (cut: () => void) => () => void): Promise<BodyRead> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    let settled = false
    const settle = (read: BodyRead): void => {
      if (settled) return
      settled = true
      end()
      if (!read.ok) body.pause()
      resolve(read)
    }
    const take = (chunk: Buffer): void => {
      if (settled) return
      bytes += chunk.length
      if (bytes > maxBytes) settle({ ok: false, reason: 'too_large' })
      else chunks.push(chunk)
    }
    const finish = (): void => settle({ ok: true, raw: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes) })
    const abort = (): void => settle({ ok: false, reason: 'aborted' })
    const end = begin(() => settle({ ok: false, reason: 'too_slow' }))
    body.on('data', take).on('end', finish).on('error', abort).on('close', abort)
  })

/** Reads the bodies of requests within bounds. */
export const createBodyReader = ({ timeoutMs, clock }: { readonly timeoutMs: number; readonly clock: Clock }): BodyReader => {
  const readings = new Set<Reading>()
  const timer = setInterval(() => {
    const now = clock.monotonicMs()
    // In the order in which they began, so that the first that has time left ends the look.
    for (const { deadlineMs, cut } of readings) {
      if (deadlineMs > now) return
      cut()
    }
  }, lookEveryMs)
  timer.unref()
  return {
    read: (body, maxBytes) =>
      readOne(body, maxBytes, (cut) => {
        const reading = { deadlineMs: clock.monotonicMs() + timeoutMs, cut }
        readings.add(reading)
        return () => void readings.delete(reading)
      }),
    stop: () => clearInterval(timer),
  }
}

import type { Signals } from '../../observability/observability.js'
import type { ClockWindow } from '../providers/provider.js'

/** Tells where valid deliveries are refused for their time alone: then a clock is wrong, and all of them would be lost. */
export interface ClockSkew {
  /** A delivery with a valid signature was looked at. Gives whether it lies within the window. */
  judge(provider: string, window: ClockWindow, signedAtMs: number, nowMs: number): boolean
}

/** So many one after another are no replay of something old. */
const consecutive = 5
const tellAgainAfterMs = 300_000

interface Run {
  readonly offsetsMs: number[]
  toldAtMs: number
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

export const createClockSkew = (signals: Signals | undefined): ClockSkew => {
  const runs = new Map<string, Run>()

  const note = (provider: string, offsetMs: number, nowMs: number): void => {
    const run = runs.get(provider) ?? { offsetsMs: [], toldAtMs: Number.NEGATIVE_INFINITY }
    runs.set(provider, run)
    run.offsetsMs.push(offsetMs)
    if (run.offsetsMs.length > consecutive) run.offsetsMs.shift()
    if (run.offsetsMs.length < consecutive || nowMs - run.toldAtMs < tellAgainAfterMs) return
    run.toldAtMs = nowMs
    const seconds = Math.round(median(run.offsetsMs) / 1000)
    const side = seconds < 0 ? 'ahead of' : 'behind'
    signals?.raise({
      name: 'webhooks.clock_skew',
      subject: provider,
      message: `The clock of this machine seems to be ${Math.abs(seconds)} s ${side} that of ${provider}: its deliveries are refused.`,
      details: { seconds },
    })
  }

  return {
    judge: (provider, { pastMs, futureMs }, signedAtMs, nowMs) => {
      const offsetMs = signedAtMs - nowMs
      if (offsetMs >= -pastMs && offsetMs <= futureMs) {
        runs.delete(provider)
        return true
      }
      note(provider, offsetMs, nowMs)
      return false
    },
  }
}

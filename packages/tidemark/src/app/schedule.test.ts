import { describe, expect, it } from 'vitest'
import { until } from '../time/until.js'
import { createSchedule } from './schedule.js'

describe('what runs now and then', () => {
  it('runs at once and again, never twice at a time, and goes on after a failure', async () => {
    const failures: unknown[] = []
    let runs = 0
    let atOnce = 0
    let most = 0
    const run = async (): Promise<void> => {
      most = Math.max(most, ++atOnce)
      await new Promise((resolve) => setTimeout(resolve, 5))
      atOnce -= 1
      runs += 1
      if (runs === 1) throw new Error('once')
    }
    const schedule = createSchedule({ sweep: { everyMs: 1, run } }, (job, error) => failures.push([job, error]))
    expect(runs).toBe(0)
    schedule.start()
    await until(() => runs >= 3)
    await schedule.stop()
    expect([most, atOnce]).toEqual([1, 0])
    expect(failures).toEqual([['sweep', new Error('once')]])
  })

  it('tells what runs that the schedule ends, and waits for it', async () => {
    let isOver = false
    const run = (signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          isOver = true
          resolve()
        })
      })
    const schedule = createSchedule({ sweep: { everyMs: 60_000, run } }, () => {})
    schedule.start()
    await schedule.stop()
    expect(isOver).toBe(true)
  })
})

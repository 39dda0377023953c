import { createSignals } from 'tidemark'
import { expect, it } from 'vitest'
import { systemClock } from '../../../packages/tidemark/src/time/clock.js'
import { createAlerts } from './alerts.js'

it('R100: alerts come in pages that hold each once, whatever begins and ends meanwhile', async () => {
  let at = Date.UTC(2026, 10, 22)
  const signals = createSignals({ clock: { ...systemClock, now: () => at } })
  const alerts = createAlerts(signals)
  /** It is told a moment later. */
  const raise = async (name: 'heartbeat.missed' | 'heartbeat.back', agent: string): Promise<void> => {
    at += 1
    signals.raise({ name, subject: `agent ${agent}`, message: `of ${agent}` })
    await Promise.resolve()
  }
  const first = Array.from({ length: 7 }, (_, n) => `a${n}`)
  for (const agent of first) await raise('heartbeat.missed', agent)
  const found: string[] = []
  let cursor: string | undefined
  let page = 0
  do {
    const { alerts: some, next } = alerts.page({ limit: 2, cursor })
    expect(some.length).toBeLessThanOrEqual(2)
    found.push(...some.map(({ entity_id }) => entity_id))
    await raise('heartbeat.back', `a${page}`)
    page += 1
    cursor = next ?? undefined
  } while (cursor !== undefined)
  expect([...found].sort()).toEqual(first.map((agent) => `agent ${agent}`))
  await raise('heartbeat.missed', 'late')
  expect(alerts.page({ limit: 1 }).alerts).toMatchObject([{ entity_id: 'agent late' }])
  expect(alerts.page({ status: 'resolved', limit: 10 }).alerts).toHaveLength(page)
  expect(alerts.active()).toHaveLength(8 - page)
  expect(() => alerts.page({ limit: 1, cursor: 'x' })).toThrow('cursor')
  alerts.stop()
})

import { describe, expect, it } from 'vitest'
import type { Pool } from '../../../postgres/postgres.js'
import { createFakeClock } from '../../../testing/fake-clock.js'
import { until } from '../../../time/until.js'
import { ServerBeats } from './server-beats.js'

/** The table of servers, which is away when it is told so. */
const createTable = () => {
  const clock = createFakeClock()
  const servers = new Map<string, { beat: string; seenMs: number }>()
  let isAway = false
  const answer = (text: string, values: readonly unknown[]): readonly object[] => {
    if (isAway) throw new Error('away')
    if (text.includes('insert')) servers.set(String(values[0]), { beat: String(values[1]), seenMs: clock.monotonicMs() })
    return [...servers].map(([id, { beat, seenMs }]) => ({ id, beat, silent: clock.monotonicMs() - seenMs }))
  }
  const query = (async (text: string, values: readonly unknown[] = []) => ({ rows: answer(text, values) })) as Pool['query']
  const open = () => new ServerBeats({ pool: { query }, clock, silentMs: 3_000, signal: new AbortController().signal })
  /** Whom somebody takes for gone in the end, and after how long. */
  const hear = async (asker: ServerBeats, id: string, meanwhile: (ms: number) => Promise<unknown> = async () => undefined) => {
    const from = clock.monotonicMs()
    let gone: ReadonlySet<string> | undefined
    void asker.heard([id]).then((found) => {
      gone = found
    })
    while (!gone && clock.monotonicMs() - from < 10_000) {
      await clock.advance(100)
      await meanwhile(clock.monotonicMs() - from)
    }
    await until(() => gone)
    return { gone: [...(gone ?? [])], ms: clock.monotonicMs() - from }
  }
  const setAway = (value: boolean): void => {
    isAway = value
  }
  return { clock, open, hear, setAway }
}

describe('servers', () => {
  it('RT-2: one that beats anew has been heard; a beat that was under way says nothing', async () => {
    const { open, hear, clock } = createTable()
    const [asker, other] = [open(), open()]
    await other.beat()
    expect(await hear(asker, other.id, (ms) => (ms === 700 ? other.beat() : Promise.resolve()))).toEqual({ gone: [], ms: 800 })
    await clock.advance(1_000)
    await other.beat()
    const beats = [200, 900]
    expect(await hear(asker, other.id, (ms) => (beats.includes(ms) ? other.beat() : Promise.resolve()))).toEqual({
      gone: [],
      ms: 1_000,
    })
  })

  it('RT-2: one that is silent for three seconds is gone, one that left at once', async () => {
    const { open, hear, clock } = createTable()
    const [asker, other] = [open(), open()]
    await other.beat()
    await clock.advance(1_000)
    expect(await hear(asker, other.id)).toEqual({ gone: [other.id], ms: 2_100 })
    expect(await hear(asker, 'unknown')).toEqual({ gone: ['unknown'], ms: 100 })
  })

  it('RT-2: while Postgres was away nobody could beat: who does afterwards is there, who does not is gone', async () => {
    const { open, hear, clock, setAway } = createTable()
    const [asker, alive, dead] = [open(), open(), open()]
    for (const each of [asker, alive, dead]) await each.beat()
    setAway(true)
    await clock.advance(10_000)
    await expect(asker.beat()).rejects.toThrow('away')
    setAway(false)
    await asker.beat()
    expect(asker.patienceMs).toBeGreaterThan(10_000)
    expect(await hear(asker, alive.id, (ms) => (ms === 1_500 ? alive.beat() : Promise.resolve()))).toMatchObject({ gone: [] })
    expect(await hear(asker, dead.id)).toMatchObject({ gone: [dead.id] })
    await clock.advance(3_000)
    expect(asker.patienceMs).toBe(3_000)
  })

  it('RT-2: one that learns that it was silent for long knows that others may have taken it for gone', async () => {
    const { open, clock } = createTable()
    const server = open()
    expect(await server.beat()).toBe(false)
    await clock.advance(1_000)
    expect(await server.beat()).toBe(false)
    await clock.advance(4_000)
    expect(await server.beat()).toBe(true)
  })
})

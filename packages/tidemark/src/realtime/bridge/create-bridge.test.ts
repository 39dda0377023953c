import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../../errors.js'
import type { FeedEvent } from '../../feed/feed.js'
import {
  at,
  createScriptedSource,
  piece,
  relationOf,
  type ScriptedSource,
  start,
} from '../../feed/follow/testing/scripted-source.js'
import { createFakeClock, type FakeClock } from '../../testing/fake-clock.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import type { RealtimeBridge } from './bridge.js'
import { type BridgeOptions, createBridge } from './create-bridge.js'

const cleanups = useCleanups()

interface Opened {
  readonly bridge: RealtimeBridge
  readonly clock: FakeClock
  /** Every source that was opened, the last one last. */
  readonly sources: ScriptedSource[]
  give(...events: readonly FeedEvent[]): void
}

const open = async (options: Partial<BridgeOptions> & { readonly exact?: boolean } = {}): Promise<Opened> => {
  const clock = createFakeClock()
  const sources: ScriptedSource[] = []
  const bridge = createBridge({
    connect: () => {
      const source = createScriptedSource()
      sources.push(source)
      return source
    },
    clock,
    random: () => 1,
    reconnect: { baseMs: 100, maxMs: 1_000 },
    ...options,
  })
  bridge.start()
  cleanups.push(async () => {
    const stopped = bridge.stop()
    await clock.advance(100_000)
    await stopped
  })
  await until(() => sources.length === 1)
  return { bridge, clock, sources, give: (...events) => sources.at(-1)!.give(...events) }
}

const fresh = (number: number, asOf = 0): FeedEvent => ({ type: 'fresh', position: at(number), asOf })

describe('R54, R57: the bridge', () => {
  it('R56: tells a subscription of the changes of its table, named as it was subscribed', async () => {
    const { bridge, give } = await open()
    const seen: unknown[] = []
    const leads = bridge.subscribe<{ id: number }>('lead-updates', { table: 'leads' }, ({ event, key, record, id }) => {
      seen.push([event, key, record, id])
    })
    bridge.subscribe('deletes', { table: 'public.leads', event: 'DELETE' }, ({ event }) => void seen.push(event))
    bridge.subscribe('some', { table: 'leads', when: ({ key }) => key === '2' }, ({ key }) => void seen.push(`some ${key}`))
    expect([...bridge.subscriptions.keys()]).toEqual(['lead-updates', 'deletes', 'some'])
    give(start(), piece(1, ['leads 1', 'others 1', 'leads 2']))
    await until(() => seen.length === 3)
    expect(seen).toEqual([['INSERT', '1', { id: 1 }, 'test-1:1-0'], ['INSERT', '2', { id: 2 }, 'test-1:1-2'], 'some 2'])
    leads.unsubscribe()
    const gone = { kind: 'delete', relation: relationOf('leads'), old: ['7'], new: null } as const
    give(piece(2, [], { changes: [gone] }))
    await until(() => seen.length === 4)
    expect(seen.at(-1)).toBe('DELETE')
  })

  it('C29: a DELETE has the key of the old row and no record', async () => {
    const { bridge, give } = await open()
    const seen: unknown[] = []
    bridge.subscribe('lead-updates', { table: 'leads' }, ({ event, key, record }) => void seen.push([event, key, record]))
    give(start(), piece(1, [], { changes: [{ kind: 'delete', relation: relationOf('leads'), old: ['7'], new: null }] }))
    await until(() => seen.length === 1)
    expect(seen).toEqual([['DELETE', '7', null]])
  })

  it('one listener that fails harms nobody', async () => {
    const { bridge, give } = await open()
    const seen: unknown[] = []
    bridge.addEventHandler('leads', () => {
      throw new Error('a handler')
    })
    const remove = bridge.addEventHandler('leads', ({ key }) => void seen.push(`handler ${key}`))
    bridge.subscribe('lead-updates', { table: 'leads' }, async () => {
      throw new Error('a callback')
    })
    bridge.subscribe('more', { table: 'leads' }, ({ key }) => void seen.push(`more ${key}`))
    expect(bridge.eventHandlers.get('public.leads')?.size).toBe(2)
    give(start(), piece(1, ['leads 1']))
    await until(() => seen.length === 2)
    remove()
    give(piece(2, ['leads 2']))
    await until(() => seen.length === 3)
    expect(seen).toEqual(['handler 1', 'more 1', 'more 2'])
  })

  it('says when something may be missing: at first, after a gap, after a table changed as a whole, to whoever comes later', async () => {
    const { bridge, give } = await open()
    const gaps: string[] = []
    const tell = (name: string) => ({ onGap: ({ reason }: { reason: string }) => void gaps.push(`${name} ${reason}`) })
    bridge.subscribe('leads', { table: 'leads', ...tell('leads') }, () => {})
    bridge.subscribe('others', { table: 'others', ...tell('others') }, () => {})
    give(start(), start(5, { reason: 'slotLost' }))
    give(piece(6, [], { changes: [{ kind: 'truncate', relation: relationOf('leads'), old: null, new: null }] }))
    await until(() => gaps.length === 5)
    bridge.subscribe('late', { table: 'leads', ...tell('late') }, () => {})
    await until(() => gaps.length === 6)
    expect(gaps).toEqual(['leads lost', 'others lost', 'leads lost', 'others lost', 'leads tableChanged', 'late lost'])
  })

  it('connects again with exponential backoff when its source gives up, and keeps its subscriptions', async () => {
    const { bridge, clock, sources, give } = await open()
    const seen: unknown[] = []
    bridge.subscribe('lead-updates', { table: 'leads' }, ({ key }) => void seen.push(key))
    const pauses: number[] = []
    for (let n = 1; n <= 5; n++) {
      sources.at(-1)!.raise(new TidemarkError('TM_FEED_STOPPED', {}))
      await until(() => bridge.state().connection === 'waiting')
      const before = clock.monotonicMs()
      while (sources.length === n) await clock.advance(50)
      pauses.push(clock.monotonicMs() - before)
      await until(() => bridge.state().connection === 'connecting')
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1000])
    expect(bridge.state()).toMatchObject({ attempts: 5 })
    expect((await bridge.healthCheck.check(AbortSignal.timeout(1000))).status).toBe('down')
    give(start(), piece(1, ['leads 1']))
    await until(() => seen.length === 1)
    expect(bridge.state()).toMatchObject({ connection: 'connected', attempts: 0, subscriptions: 1 })
  })

  it('R54: a source that proves nothing any more is opened anew; one that proves is left alone', async () => {
    const { bridge, clock, sources, give } = await open({ heartbeatMs: 3_000 })
    give(start())
    for (let n = 1; n <= 10; n++) {
      give(fresh(n, clock.monotonicMs()))
      await clock.advance(1_000)
    }
    expect(sources).toHaveLength(1)
    expect((await bridge.healthCheck.check(AbortSignal.timeout(1000))).status).toBe('up')
    await clock.advance(5_000)
    await until(() => sources.length === 2)
    expect(sources[0]!.stopped).toBe(true)
    expect(bridge.state().lastError).toContain('proved nothing')
  })
})

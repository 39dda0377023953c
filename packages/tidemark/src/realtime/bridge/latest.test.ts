import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BridgeEvent } from './bridge.js'
import { createLatest } from './latest.js'

interface Lead {
  readonly id: string
  readonly version: number
  readonly name: string
}

const lead = (version: number, id = '1'): Lead => ({ id, version, name: `version ${version}` })

const event = (number: number, record: Lead | null, more: Partial<BridgeEvent<Lead>> = {}): BridgeEvent<Lead> => ({
  id: String(number),
  event: record ? 'UPDATE' : 'DELETE',
  schema: 'public',
  table: 'leads',
  key: '1',
  record,
  old: record ? null : { id: '1' },
  position: { epoch: 'one', number: BigInt(number) },
  ordinal: 0,
  committedAt: new Date(0),
  ...more,
})

const byVersion = () => createLatest<Lead>({ version: ({ version }) => version })

describe('C30: the newest that is known of each row', () => {
  it('is never replaced by what is older, or is told again', () => {
    const latest = createLatest<Lead>()
    expect(latest.apply(event(2, lead(2)))).toBe(true)
    expect(latest.apply(event(1, lead(1)))).toBe(false)
    expect(latest.apply(event(2, lead(2)))).toBe(false)
    expect(latest.get('1')).toEqual(lead(2))
  })

  it('C29: a deleted row goes by the key of the old one, and does not come back by what was said of it before', () => {
    const latest = createLatest<Lead>()
    latest.apply(event(1, lead(1)))
    expect(latest.apply(event(3, null))).toBe(true)
    expect([latest.get('1'), latest.size]).toEqual([undefined, 0])
    expect(latest.apply(event(2, lead(2)))).toBe(false)
    expect(latest.apply(event(4, null, { key: null }))).toBe(false)
    expect(latest.get('undefined')).toBeUndefined()
    // Made anew it counts its versions from the start.
    expect(latest.apply(event(5, lead(1)))).toBe(true)
  })

  it('is not what a read brings that began before the change', () => {
    const latest = createLatest<Lead>()
    const token = latest.beginRead()
    latest.apply(event(1, lead(2)))
    expect(latest.fill(token, '1', lead(1))).toBe(false)
    expect(latest.fill(latest.beginRead(), '1', lead(3))).toBe(true)
    expect(latest.get('1')).toEqual(lead(3))
  })

  it('is what a read brings that is ahead of the events, until they pass it', () => {
    const latest = byVersion()
    latest.apply(event(1, lead(1)))
    expect(latest.fill(latest.beginRead(), '1', lead(3))).toBe(true)
    expect(latest.apply(event(2, lead(2)))).toBe(false)
    expect(latest.apply(event(4, lead(4)))).toBe(true)
    expect(latest.get('1')).toEqual(lead(4))
  })

  it('keeps of an update the columns that it did not touch', () => {
    const latest = createLatest<Lead>()
    latest.apply(event(1, lead(1)))
    latest.apply(event(2, { id: '1', version: 2 } as Lead))
    expect(latest.get('1')).toEqual({ id: '1', version: 2, name: 'version 1' })
  })

  it('is bounded, and a read that began before something was forgotten is not believed', () => {
    const latest = createLatest<Lead>({ maxRows: 2 })
    const token = latest.beginRead()
    for (const id of ['1', '2', '3']) latest.apply(event(Number(id), lead(1, id), { key: id }))
    expect([latest.size, latest.get('1')]).toEqual([2, undefined])
    expect(latest.fill(token, '1', lead(0))).toBe(false)
    expect(latest.fill(latest.beginRead(), '1', lead(2))).toBe(true)
  })

  it('never goes back, however events are repeated and reads fall between them', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('tell' as const), back: fc.integer({ min: 0, max: 3 }) }),
      fc.constant({ kind: 'commit' as const }),
      fc.constant({ kind: 'delete' as const }),
      fc.constant({ kind: 'read' as const }),
      fc.constant({ kind: 'filled' as const }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const latest = byVersion()
        const log: BridgeEvent<Lead>[] = []
        let version = 0
        let row: Lead | null = null
        let told = 0
        let seen = 0
        let read: { readonly token: ReturnType<typeof latest.beginRead>; readonly row: Lead | null } | undefined
        for (const next of steps) {
          if (next.kind === 'commit') {
            row = lead(++version)
            log.push(event(log.length + 1, row))
          } else if (next.kind === 'delete' && row) {
            log.push(event(log.length + 1, null, { old: { id: '1', version: ++version } }))
            row = null
          } else if (next.kind === 'tell' && told < log.length) {
            for (let n = Math.max(0, told - next.back); n <= told; n++) latest.apply(log[n]!)
            told += 1
          } else if (next.kind === 'read') read = { token: latest.beginRead(), row }
          else if (next.kind === 'filled' && read?.row) latest.fill(read.token, '1', read.row)
          const now = latest.get('1')
          expect(now === undefined || now.version >= seen).toBe(true)
          seen = Math.max(seen, now?.version ?? 0)
        }
        while (told < log.length) latest.apply(log[told++]!)
        if (log.length > 0) expect(latest.get('1') ?? null).toEqual(row)
      }),
    )
  })
})

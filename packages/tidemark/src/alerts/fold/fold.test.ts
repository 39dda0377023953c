import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AlertSignal } from '../alerts.js'
import { type FoldBefore, foldSignals } from './fold.js'

let count = 0
const nextId = (): string => {
  count += 1
  return `signal-${count}`
}
const signal = (kind: AlertSignal['kind'], atMs: number, more: Partial<AlertSignal> = {}): AlertSignal => ({
  id: nextId(),
  kind,
  alertType: 'disk',
  entityType: 'disk',
  entityId: 'a',
  labels: {},
  message: `at ${atMs}`,
  severity: 'warning',
  source: '',
  raisedAtMs: atMs,
  told: [],
  proposedId: undefined,
  ...more,
})

const nothing: FoldBefore = { fingerprint: 'f', open: undefined, sources: new Map(), last: undefined, taken: new Set() }

describe('folding signals of one condition', () => {
  it('makes one alert of a thousand equal ones, under the id of the first', () => {
    const signals = Array.from({ length: 1000 }, (_, n) => signal('raise', n))
    const { alerts, of } = foldSignals(nothing, signals)
    expect(alerts).toHaveLength(1)
    expect(alerts[0]).toMatchObject({ isNew: true, changes: ['opened'], repeated: 999 })
    expect(alerts[0]?.alert).toMatchObject({
      id: signals[0]?.id,
      occurrences: 1000,
      startedAtMs: 0,
      lastSeenAtMs: 999,
      message: 'at 999',
    })
    expect(new Set(of.values())).toEqual(new Set([signals[0]?.id]))
  })

  it('ends when nobody sees it any more, and begins anew under another id', () => {
    const first = signal('raise', 1, { source: 'a' })
    const again = signal('raise', 6, { source: 'b' })
    const { alerts } = foldSignals(nothing, [
      first,
      signal('still', 2, { source: 'b' }),
      signal('resolve', 3, { source: 'a' }),
      signal('resolve', 4, { source: 'c' }),
      signal('resolve', 5, { source: 'b' }),
      again,
    ])
    expect(alerts.map(({ alert, changes }) => [alert.id, alert.status, alert.resolvedAtMs, changes])).toEqual([
      [first.id, 'resolved', 5, ['opened', 'resolved']],
      [again.id, 'active', undefined, ['opened']],
    ])
  })

  it('does not open for what was said before the end and came after it', () => {
    const late = signal('raise', 9)
    const { alerts, of } = foldSignals({ ...nothing, last: { id: 'ended', resolvedAtMs: 10 } }, [late])
    expect(alerts).toEqual([])
    expect(of.get(late.id)).toBe('ended')
    expect(foldSignals({ ...nothing, last: { id: 'ended', resolvedAtMs: 10 } }, [signal('raise', 11)]).alerts).toHaveLength(1)
  })

  it('is told again when it becomes graver, and then nobody has acknowledged it', () => {
    const open = {
      ...foldSignals(nothing, [signal('raise', 1)]).alerts[0]!.alert,
      status: 'acknowledged',
      acknowledgedBy: 'ann',
    } as const
    const same = foldSignals({ ...nothing, open, sources: new Map([['', 1]]) }, [signal('raise', 2)])
    expect(same.alerts[0]).toMatchObject({ changes: [], alert: { status: 'acknowledged' } })
    const graver = foldSignals({ ...nothing, open, sources: new Map([['', 1]]) }, [signal('raise', 2, { severity: 'critical' })])
    expect(graver.alerts[0]).toMatchObject({ changes: ['raised'], alert: { status: 'active', severity: 'critical' } })
  })

  it('takes the id under which it was told straight away, unless another alert has it', () => {
    const told = signal('raise', 1, { proposedId: 'told', told: ['ops'] })
    expect(foldSignals(nothing, [told]).alerts[0]).toMatchObject({ alert: { id: 'told' }, told: new Set(['ops']) })
    expect(foldSignals({ ...nothing, taken: new Set(['told']) }, [told]).alerts[0]?.alert.id).toBe(told.id)
    const twice = foldSignals(nothing, [told, signal('resolve', 2), signal('raise', 3, { proposedId: 'told' })])
    expect(new Set(twice.alerts.map(({ alert }) => alert.id)).size).toBe(2)
  })

  it('ALERT-1: at most one is open, whatever comes, and cutting the signals into batches changes nothing', () => {
    const any = fc.record({
      kind: fc.constantFrom<AlertSignal['kind']>('raise', 'still', 'resolve'),
      source: fc.constantFrom('', 'a', 'b'),
      severity: fc.constantFrom<AlertSignal['severity']>('info', 'warning', 'critical'),
    })
    fc.assert(
      fc.property(fc.array(any, { maxLength: 40 }), fc.integer({ min: 1, max: 40 }), (given, cut) => {
        const signals = given.map(({ kind, ...more }, n) => signal(kind, n + 1, more))
        const whole = foldSignals(nothing, signals)
        expect(whole.alerts.slice(0, -1).every(({ alert }) => alert.status === 'resolved')).toBe(true)
        const first = foldSignals(nothing, signals.slice(0, cut))
        const last = first.alerts.at(-1)
        const isOpen = last !== undefined && last.alert.status !== 'resolved'
        const ended = isOpen ? first.alerts.at(-2) : last
        const second = foldSignals(
          {
            ...nothing,
            open: isOpen ? last.alert : undefined,
            sources: isOpen ? last.sources : new Map(),
            last: ended && { id: ended.alert.id, resolvedAtMs: ended.alert.resolvedAtMs! },
          },
          signals.slice(cut),
        )
        const joined = new Map([...first.alerts, ...second.alerts].map(({ alert }) => [alert.id, alert]))
        expect([...joined.values()]).toEqual(whole.alerts.map(({ alert }) => alert))
        expect(new Map([...first.of, ...second.of])).toEqual(whole.of)
      }),
    )
  })
})

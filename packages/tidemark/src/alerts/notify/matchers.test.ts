import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Alert, type AlertLabels, type AlertSignal, begun } from '../alerts.js'
import { globMatches, matchesAll, parseMatcher } from './matchers.js'
import { createRoutes, matchedLabels, type RouteInput } from './routes.js'

const signalOf = (labels: AlertLabels): AlertSignal => ({
  id: 'id',
  kind: 'raise',
  alertType: 'disk',
  entityType: 'host',
  entityId: 'one',
  labels,
  message: 'It is full.',
  severity: 'warning',
  source: '',
  raisedAtMs: 0,
  told: [],
  proposedId: undefined,
})

describe('matchers', () => {
  it('are read as they are written, and refused where they say nothing', () => {
    expect(parseMatcher('alert_type=disk')).toEqual({ label: 'alert_type', op: '=', value: 'disk' })
    expect(parseMatcher(' entity_id !~ eu-* ')).toEqual({ label: 'entity_id', op: '!~', value: 'eu-*' })
    expect(parseMatcher('a=b=c')).toEqual({ label: 'a', op: '=', value: 'b=c' })
    for (const wrong of ['', 'disk', '=x', 'a=', '1=2']) expect(() => parseMatcher(wrong)).toThrow('does not say')
  })

  it('hold together or not at all; a label that is not there is empty', () => {
    const labels = { alert_type: 'disk', zone: 'eu-1' }
    const matches = (...texts: string[]) => matchesAll(texts.map(parseMatcher), labels)
    expect(matches('alert_type=disk', 'zone=~eu-*')).toBe(true)
    expect(matches('alert_type=disk', 'zone!~eu-*')).toBe(false)
    expect(matches('team!=a')).toBe(true)
    expect(matches('team=~*')).toBe(true)
    expect(matches('zone=~eu')).toBe(false)
  })

  it('take any text for *, and nothing for granted', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '.'), maxLength: 12 })
    fc.assert(
      fc.property(text, text, (pattern, given) => {
        const form = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`, 's')
        expect(globMatches(pattern, given)).toBe(form.test(given))
      }),
    )
    // One that would take for ever where every way is tried.
    expect(globMatches(`${'*a'.repeat(40)}b`, 'a'.repeat(5000))).toBe(false)
  })
})

describe('routes', () => {
  it('name only channels that there are', () => {
    expect(() => createRoutes([{ channels: ['nobody'] }], ['ops'])).toThrowError(
      expect.objectContaining({ code: 'TM_ALERTS_CHANNEL' }) as Error,
    )
    expect(() => createRoutes([{ escalateTo: ['nobody'] }], ['ops'])).toThrow('nobody')
    expect(() => createRoutes([{ match: ['nonsense'] }], ['ops'])).toThrow('does not say')
    expect(() => createRoutes([{ routes: [{ channels: ['nobody'] }] }], ['ops'])).toThrow('nobody')
  })

  it('are refused where they say what nobody knows: a misspelt demand would be none', () => {
    const misspelt = [{ routes: [{ matches: ['severity=critical'], channels: ['ops'] }] }] as never
    expect(() => createRoutes(misspelt, ['ops'])).toThrow('nobody knows "matches" (there are match, channels')
    expect(() => createRoutes([{ groupWaitMs: '30s' }] as never, ['ops'])).toThrow(
      '"groupWaitMs" is not a number of milliseconds',
    )
    expect(() => createRoutes([{ match: 'severity=critical' }] as never, ['ops'])).toThrow('"match" is not a list of texts')
  })

  const alertOf = (labels: AlertLabels): Alert => ({ ...begun(signalOf(labels), 'id', 'fingerprint') })

  it('are a tree: the deepest that matches takes an alert, with what those above it say where it says nothing', () => {
    const routes = createRoutes(
      [
        {
          match: ['team=data'],
          channels: ['data'],
          groupBy: ['zone'],
          repeatIntervalMs: 5,
          routes: [
            { match: ['zone=~eu-*'], channels: ['europe'], routes: [{ match: ['severity=warning'], repeatIntervalMs: 7 }] },
            { match: ['zone=us'], groupBy: ['alert_type'] },
          ],
        },
        { channels: ['ops'] },
      ],
      ['data', 'europe', 'ops'],
    )
    const of = (labels: AlertLabels) => routes.of(alertOf(labels))
    expect(of({ team: 'data', zone: 'eu-1' })).toMatchObject({ channels: ['europe'], groupBy: ['zone'], repeatIntervalMs: 7 })
    expect(of({ team: 'data', zone: 'us' })).toMatchObject({ channels: ['data'], groupBy: ['alert_type'], repeatIntervalMs: 5 })
    expect(of({ team: 'data', zone: 'asia' })).toMatchObject({ channels: ['data'], groupBy: ['zone'] })
    expect(of({ team: 'web', zone: 'eu-1' })).toMatchObject({ channels: ['ops'], groupBy: ['alert_type'] })
  })

  it('lead where a walk from the root leads, whatever the tree', () => {
    const pair = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('=1', '=2', '!=1', '=~*'))
    const match = fc.array(
      pair.map(([label, rest]) => `${label}${rest}`),
      { maxLength: 2 },
    )
    const { node } = fc.letrec<{ node: RouteInput }>((tie) => ({
      node: fc.record(
        {
          match,
          repeatIntervalMs: fc.integer({ min: 1, max: 1_000_000 }),
          routes: fc.array(tie('node'), { maxLength: 3, depthIdentifier: 'routes' }),
        },
        { requiredKeys: ['match'] },
      ),
    }))
    const walk = (nodes: readonly RouteInput[], alert: Alert, above: number | undefined): number | undefined => {
      for (const { match: own = [], repeatIntervalMs = above, routes = [] } of nodes) {
        if (!matchesAll(own.map(parseMatcher), matchedLabels(alert))) continue
        return walk(routes, alert, repeatIntervalMs) ?? repeatIntervalMs ?? 4 * 3_600_000
      }
      return undefined
    }
    const value = fc.constantFrom('1', '2', '3')
    fc.assert(
      fc.property(fc.array(node, { maxLength: 3 }), fc.record({ a: value, b: value, c: value }), (tree, labels) => {
        const alert = alertOf(labels)
        expect(createRoutes(tree, ['ops']).of(alert).repeatIntervalMs).toBe(walk(tree, alert, undefined) ?? 4 * 3_600_000)
      }),
    )
  })
})

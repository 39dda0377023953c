import { describe, expect, it } from 'vitest'
import { createHealth } from '../../observability/health.js'
import { createMetrics } from '../../observability/metrics.js'
import { silentLogger } from '../../observability/observability.js'
import { createSignals } from '../../observability/signals.js'
import { createFakeClock } from '../../testing/fake-clock.js'
import type { AlertSignal } from '../alerts.js'
import { lookAt } from './condition.js'
import { Engine } from './engine.js'
import { defineRule, type RuleInput } from './rule.js'
import { standardRules } from './standard-rules.js'
import { tuneRules } from './tune-rules.js'

const minimal: RuleInput = {
  name: 'queue',
  severity: 'warning',
  says: '{entity} {value} {limit}',
  when: { health: 'x', is: ['down'] },
}

describe('rules', () => {
  it('are refused where they say nothing or cannot hold', () => {
    for (const wrong of [
      { name: 'Not a name' },
      { severity: 'fatal' as 'critical' },
      { says: ' ' },
      { when: [] },
      { for: 'soon' },
      { keepFiringFor: -1 },
      { when: { gauge: { metric: 'a' } } },
      { when: { gauge: { metric: 'a' }, abov: 1 } },
      { when: { gauge: 'a', above: 1 } },
      { when: { increase: { metric: 'a' }, above: 1 } },
      { when: { increase: { metric: 'a' }, over: 'soon', above: 1 } },
      { when: { share: { of: { metric: 'a' } }, over: '1m', above: 1 } },
      { when: { health: 'redis' } },
      { when: { healthy: 'redis' } },
    ] as readonly Partial<RuleInput>[])
      expect(() => defineRule({ ...minimal, ...wrong })).toThrowError(
        expect.objectContaining({ code: 'TM_ALERTS_RULE' }) as Error,
      )
    expect(defineRule({ ...minimal, for: '5m' })).toMatchObject({
      forMs: 300_000,
      keepFiringForMs: 60_000,
      resolveTimeoutMs: 300_000,
    })
  })

  it('are changed by a project, left out, replaced and added', () => {
    const own = defineRule({ ...minimal, name: 'disk' })
    const tuned = tuneRules(
      standardRules,
      { memory: { off: true }, 'slow-queries': { above: 3, severity: 'critical', for: '1m' } },
      [own, defineRule(minimal)],
    )
    expect(tuned).toHaveLength(standardRules.length)
    expect(tuned.find(({ name }) => name === 'disk')).toBe(own)
    expect(tuned.some(({ name }) => name === 'memory')).toBe(false)
    expect(tuned.find(({ name }) => name === 'slow-queries')).toMatchObject({
      severity: 'critical',
      forMs: 60_000,
      when: [{ above: 3, back: undefined }],
    })
    expect(() => tuneRules(standardRules, { memory: { of: true } } as never)).toThrow('nobody knows "of" (did you mean "off"?)')
    expect(() => tuneRules(standardRules, { nobody: {} })).toThrow('no rule of that name')
    expect(() => tuneRules(standardRules, { 'redis-away': { above: 1 } })).toThrow('no level')
  })

  it('have one name each, and mute only what there is', () => {
    const names = standardRules.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const { mutes } of standardRules) for (const muted of mutes) if (!muted.includes('.')) expect(names).toContain(muted)
  })

  it('change nothing between the level that raises and the one that clears', () => {
    const level = { above: 10, back: 5 }
    expect([11, 10, 7, 5, 4, Number.NaN].map((value) => lookAt(value, level))).toEqual([
      'holds',
      'between',
      'between',
      'clear',
      'clear',
      'unknown',
    ])
    expect([1, 2, 3, 4].map((value) => lookAt(value, { below: 2, back: 3 }))).toEqual(['holds', 'between', 'clear', 'clear'])
  })

  it('look at what a project measures, in a few lines, and outlive a look that fails', async () => {
    const clock = createFakeClock()
    const metrics = createMetrics()
    const depth = metrics.gauge('tidemark_queue_entries', 'Depth.', ['queue'])
    const told: AlertSignal[] = []
    let isBroken = false
    const engine = new Engine({
      rules: [
        defineRule({
          name: 'queue-depth',
          severity: 'warning',
          entityType: 'queue',
          keepFiringFor: 0,
          when: [
            { gauge: { metric: 'tidemark_queue_entries', where: { queue: /^mail/ } }, per: 'queue', above: 100 },
            async () => {
              if (isBroken) throw new Error('broken')
              return [{ entityId: 'own', look: 'holds', value: 7 }]
            },
          ],
          says: '{entity} has {value}.',
        }),
      ],
      metrics,
      health: createHealth({ clock }),
      signals: createSignals({ clock }),
      clock,
      source: 'node',
      stillEveryMs: 1000,
      onSignals: (signals) => told.push(...signals),
      log: silentLogger,
    })
    const seen = () => told.splice(0).map(({ kind, entityId, message }) => [kind, entityId, message])
    depth.set(101, { queue: 'mail-a' })
    depth.set(1000, { queue: 'other' })
    await engine.look()
    expect(seen()).toEqual([
      ['raise', 'mail-a', 'mail-a has 101.'],
      ['raise', 'own', 'own has 7.'],
    ])
    isBroken = true
    depth.set(3, { queue: 'mail-a' })
    await engine.look()
    expect(seen()).toEqual([['resolve', 'mail-a', 'mail-a has 101.']])
    await clock.advance(1000)
    await engine.look()
    expect(seen()).toEqual([['still', 'own', 'own has 7.']])
    await clock.advance(300_000)
    await engine.look()
    expect(seen()).toEqual([['resolve', 'own', 'own has 7.']])
  })
})

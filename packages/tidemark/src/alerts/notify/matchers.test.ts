import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { globMatches, matchesAll, parseMatcher } from './matchers.js'
import { createRoutes } from './routes.js'

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
  })
})

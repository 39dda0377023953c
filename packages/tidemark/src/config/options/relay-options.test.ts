import { describe, expect, it } from 'vitest'
import { defineConfig, maskedConfig, resolveConfig } from '../config.js'

const rules = [{ table: 'public.things', channel: 'things', event: 'changed', data: ['id'] }]
const to = { pusher: 'https://key:hush@api-eu.pusher.com/apps/1' }

describe('relays in the configuration', () => {
  it('pass through with their functions, and there are none by default', () => {
    const when = () => true
    const file = defineConfig({ realtime: { relays: { frontends: { to, rules: [{ ...rules[0], when }], durable: true } } } })
    const { realtime } = resolveConfig({ env: {}, file })
    expect(realtime.relays?.['frontends']).toMatchObject({ to, durable: true, rules: [{ when }] })
    expect(resolveConfig({ env: {} }).realtime.relays).toBeUndefined()
  })

  it('SEC-2: are not shown, nor quoted where they are refused', () => {
    const shown = maskedConfig(resolveConfig({ env: {}, file: { realtime: { relays: { frontends: { to, rules } } } } }))
    expect(JSON.stringify(shown)).not.toContain('hush')
    const refused = () =>
      resolveConfig({ env: {}, file: { realtime: { relays: { frontends: { to, rules, other: to } as never } } } })
    expect(refused).toThrow(expect.objectContaining({ code: 'TM_CONFIG_BAD_VALUE' }))
    expect(refused).not.toThrow(/hush/)
  })

  it.each([
    [{ 'Front Ends': { to, rules } }, 'lower case letters'],
    [{ frontends: { to: {}, rules } }, 'no "to"'],
    [{ frontends: { to: { supabase: { url: 'https://p.supabase.co' } }, rules } }, 'no "to"'],
    [{ frontends: { to, rules: [] } }, 'has no rules'],
    [{ frontends: { to, rules: [{ ...rules[0], table: 'things' }] } }, 'schema.table'],
    [{ frontends: { to, rules: [{ ...rules[0], data: undefined }] } }, 'or data'],
  ])('refuses %j', (relays, reason) => {
    expect(() => resolveConfig({ env: {}, file: { realtime: { relays } } as never })).toThrow(
      expect.objectContaining({ message: expect.stringContaining(reason) }),
    )
  })
})

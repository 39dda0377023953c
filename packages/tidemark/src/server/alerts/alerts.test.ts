import { describe, expect, it } from 'vitest'
import { standardRules } from '../../alerts/rules/standard-rules.js'
import { maskedConfig, resolveConfig } from '../../config/config.js'
import { channelsOf, rulesOf } from './alerts.js'

const configOf = (alerts: object = {}, env: Readonly<Record<string, string>> = {}) =>
  resolveConfig({ cwd: '/', file: { alerts }, env })

describe('alerts of a configuration', () => {
  it('go to the log, to what variables name, and to what a file names', () => {
    expect(channelsOf(configOf())).toEqual({ log: { type: 'log' } })
    const env = {
      TIDEMARK_ALERTS_WEBHOOK_URL: 'https://ops.example.com/hidden-path',
      TIDEMARK_ALERTS_WEBHOOK_SECRET: `whsec_${Buffer.alloc(24, 1).toString('base64')}`,
      TIDEMARK_ALERTS_SLACK_URL: 'https://hooks.example.com/T/hidden-path',
    }
    const config = configOf({ channels: { screens: { type: 'realtime', topic: 'alerts' } } }, env)
    expect(Object.keys(channelsOf(config)).sort()).toEqual(['screens', 'slack', 'webhook'])
    expect(JSON.stringify(maskedConfig(config))).not.toContain('hidden-path')
  })

  it('have the rules of every server, changed and added to', async () => {
    const config = configOf({
      rules: [{ name: 'mail', severity: 'info', says: 'Mail.', when: { health: 'mail', is: ['down'] } }],
      thresholds: { disk: { below: 0.2 }, memory: { off: true } },
    })
    const rules = await rulesOf(config)
    expect(rules.map(({ name }) => name)).toEqual([
      ...standardRules.map(({ name }) => name).filter((name) => name !== 'memory'),
      'mail',
    ])
    await expect(rulesOf(configOf({ thresholds: { nobody: {} } }))).rejects.toMatchObject({ code: 'TM_ALERTS_RULE' })
  })

  it('are refused where a channel lacks something, without a word of what it holds', () => {
    for (const channels of [
      { ops: { type: 'carrier-pigeon', url: 'hidden' } },
      { ops: { type: 'webhook', url: 'https://hidden.example.com' } },
      { 'Not a name': { type: 'log' } },
      { ops: { type: 'own' } },
      { ops: { type: 'log', falback: 'hidden' } },
      { ops: { type: 'log', timeoutMs: 'hidden' } },
      ['hidden'],
    ]) {
      expect(() => configOf({ channels })).toThrowError(expect.objectContaining({ code: 'TM_CONFIG_BAD_VALUE' }) as Error)
      expect(() => configOf({ channels })).not.toThrow('hidden')
    }
  })
})

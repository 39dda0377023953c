import type { Preferences } from '../query.js'
import { restErrors } from '../rest-errors.js'

const choices = {
  return: ['minimal', 'representation', 'headers-only'],
  count: ['exact', 'planned', 'estimated'],
  resolution: ['merge-duplicates', 'ignore-duplicates'],
  missing: ['default', 'null'],
  tx: ['commit', 'rollback'],
  handling: ['strict', 'lenient'],
} as const

const texts = ['timezone=', 'max-affected=']

const isUnderstood = (preference: string): boolean => {
  if (texts.some((start) => preference.startsWith(start))) return true
  const [name = '', value = ''] = preference.split('=')
  const values: readonly string[] = Object.hasOwn(choices, name) ? choices[name as keyof typeof choices] : []
  return preference === `${name}=${value}` && values.includes(value)
}

const none: Preferences = {
  return: undefined,
  count: undefined,
  resolution: undefined,
  missing: undefined,
  transaction: undefined,
  handling: undefined,
  maxAffected: undefined,
  timezone: undefined,
  unknown: [],
}

/**
 * Reads the header Prefer, all of its occurrences joined by commas. Of one preference given twice the first counts.
 * `transactionOverride`: whether a caller may say how the transaction ends.
 */
export const parsePreferences = (header: string | undefined, transactionOverride: boolean): Preferences => {
  if (header === undefined) return none
  const all = header
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
  const chosen = <N extends keyof typeof choices>(name: N): (typeof choices)[N][number] | undefined => {
    const values: readonly (typeof choices)[N][number][] = choices[name]
    for (const preference of all) {
      const value = values.find((one) => preference === `${name}=${one}`)
      if (value !== undefined) return value
    }
    return undefined
  }
  const text = (start: string) => all.find((preference) => preference.startsWith(start))?.slice(start.length)
  const affected = text('max-affected=')
  return {
    return: chosen('return'),
    count: chosen('count'),
    resolution: chosen('resolution'),
    missing: chosen('missing'),
    transaction: transactionOverride ? chosen('tx') : undefined,
    handling: chosen('handling'),
    maxAffected: affected !== undefined && /^-?\d{1,15}$/.test(affected) ? Number(affected) : undefined,
    timezone: text('timezone='),
    unknown: all.filter((preference) => !isUnderstood(preference)),
  }
}

/**
 * The preferences that can be honoured where these time zones are known: an unknown one is left out. Under `handling=strict`
 * anything that cannot be honoured is refused (PGRST122).
 */
export const honoured = (preferences: Preferences, timezones: ReadonlySet<string>): Preferences => {
  const { timezone, unknown, handling } = preferences
  const badZone = timezone !== undefined && !timezones.has(timezone)
  const refused = badZone ? [...unknown, `timezone=${timezone}`] : unknown
  if (handling === 'strict' && refused.length > 0) throw restErrors.preferences(refused)
  return badZone ? { ...preferences, timezone: undefined } : preferences
}

import type { Preferences, RestRequest } from '../query.js'

type Name = 'resolution' | 'missing' | 'return' | 'count' | 'tx' | 'handling' | 'timezone' | 'max-affected'

/** Those that mean something besides the ones that always do. */
const meaningful = (request: RestRequest): readonly Name[] => {
  switch (request.kind) {
    case 'insert':
      return request.put ? ['return'] : ['resolution', 'missing', 'return']
    case 'update':
      return ['missing', 'return', 'max-affected']
    case 'delete':
      return ['return', 'max-affected']
    case 'call':
      return ['max-affected']
    default:
      return []
  }
}

/** The header Preference-Applied; undefined where no preference was honoured. */
export const appliedPreferences = (request: RestRequest, preferences: Preferences): string | undefined => {
  const own = meaningful(request)
  const { handling, maxAffected } = preferences
  const values: Record<Name, string | number | undefined> = {
    resolution: preferences.resolution,
    missing: preferences.missing,
    return: preferences.return,
    count: preferences.count,
    tx: preferences.transaction,
    handling,
    timezone: preferences.timezone,
    'max-affected': handling === 'strict' ? maxAffected : undefined,
  }
  const always: readonly string[] = ['count', 'tx', 'handling', 'timezone']
  const applied = Object.entries(values)
    .filter(([name, value]) => value !== undefined && (always.includes(name) || own.includes(name as Name)))
    .map(([name, value]) => `${name}=${value}`)
  return applied.length > 0 ? applied.join(', ') : undefined
}

import { TidemarkError } from '../errors.js'

/** What a process can do besides answering for its health. `all` is every one of them. */
const knownRoles = ['admin', 'alerts', 'auth', 'feed', 'realtime', 'rest', 'webhooks'] as const

export type Role = (typeof knownRoles)[number]

/** The roles that `server.roles` names. Raises TM_CONFIG_BAD_VALUE for one that does not exist. */
export const resolveRoles = (names: readonly string[]): ReadonlySet<Role> => {
  const unknown = names.find((name) => name !== 'all' && !knownRoles.some((role) => role === name))
  if (unknown !== undefined) {
    throw new TidemarkError('TM_CONFIG_BAD_VALUE', {
      option: 'server.roles',
      value: unknown,
      source: 'the configuration',
      reason: 'there is no such role',
      expected: `names among all, ${knownRoles.join(', ')}`,
    })
  }
  return new Set(names.includes('all') ? knownRoles : knownRoles.filter((role) => names.includes(role)))
}

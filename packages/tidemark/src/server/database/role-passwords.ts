import { createHmac } from 'node:crypto'
import type { BootstrapOptions } from '../../schema/schema.js'
import type { State } from '../../state/state.js'

type Passwords = BootstrapOptions['passwords']

const roles = ['migrator', 'authenticator', 'app', 'feed', 'auth'] as const

const fill = (make: (role: (typeof roles)[number]) => string): Passwords => {
  const [migrator, authenticator, app, feed, auth] = roles.map(make) as [string, string, string, string, string]
  return { migrator, authenticator, app, feed, auth }
}

/**
 * The passwords of the roles that take over from the one in the connection string. Every node that knows that string must
 * come to the same ones, so they are derived from its password; one that holds none has passwords kept in the state folder.
 */
export const rolePasswords = async (adminPassword: string | undefined, state: State): Promise<Passwords> => {
  const key = adminPassword || (await state.secret('postgres-roles'))
  return fill((role) => createHmac('sha256', key).update(`tidemark role ${role}`).digest('base64url'))
}

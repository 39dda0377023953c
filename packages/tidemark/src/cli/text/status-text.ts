import { cachesLine } from '../../server/caches/caches.js'
import type { ProjectStatus } from '../../server/operations/status.js'
import type { Colors } from '../terminal/terminal.js'

const redisText = ({ state, target, embedded }: ProjectStatus['redis']): string => {
  if (state === 'absent') return 'none: everything works without it, more slowly'
  return `${state} at ${target}${embedded ? ' (embedded)' : ''}`
}

const databaseText = ({ url, embedded, version, state }: ProjectStatus['database']): string => {
  const kind = [embedded ? 'embedded' : '', version ?? ''].filter((part) => part !== '').join(' ')
  return `${url}${kind === '' ? '' : ` (${kind})`}${state === 'connected' ? '' : ', disconnected'}`
}

/** The status as lines for a person. Secrets are for the caller to hide before. */
export const statusText = (status: ProjectStatus, { bold, cyan, dim }: Colors): string => {
  const lines: readonly (readonly [string, string])[] = [
    ['Server', status.url === null ? dim('not running') : cyan(status.url)],
    ['Postgres', databaseText(status.database)],
    ['Redis', redisText(status.redis)],
    ['Caches', cachesLine(status.caches)],
    ['Anon key', status.keys.anon],
    ['Service key', status.keys.service],
    ['Pusher app', status.pusher ? `id ${status.pusher.appId}, key ${status.pusher.key}` : dim('turned off')],
    ['Pusher secret', status.pusher?.secret ?? ''],
    ['Admin', status.admin.url ?? dim('with the server')],
    ['Admin token', status.admin.token],
  ]
  return lines
    .filter(([, value]) => value !== '***' && value !== '')
    .map(([name, value]) => `  ${bold(name.padEnd(13))}  ${value}`)
    .join('\n')
}

/** What people have to hear of. Told in the transaction that it belongs to where there is one; alerts of Tidemark fold it, and tell it on. */
import type { Logger, Signals } from '../observability/observability.js'
import type { Client, Pool } from '../postgres/postgres.js'

type Db = Pick<Client, 'query'>

/** What an alert is about. */
export interface Alert {
  readonly type: string
  readonly entityId: string
  readonly entityType: string
}

/** One that is open already is told of once more, and stays one. */
export const raiseAlert = async (
  db: Db,
  { type, entityId, entityType }: Alert,
  message: string,
  severity: 'warning' | 'error' | 'critical' = 'warning',
): Promise<void> => {
  await db.query('select public.publish_alert($1, $2, $3, $4, $5)', [type, entityId, entityType, message, severity])
}

/** Ends it where it is open. */
export const resolveAlert = async (db: Db, { type, entityId, entityType }: Alert): Promise<void> => {
  await db.query('select public.resolve_alert($1, $2, $3)', [type, entityId, entityType])
}

/** Signals of this process that begin an alert, and those that end it. */
const endings: Readonly<Record<string, string>> = { 'breaker.closed': 'breaker.opened', 'secondary.up': 'secondary.down' }
const beginnings: ReadonlySet<string> = new Set(Object.values(endings))

/** Takes what this process notices of other systems to where alerts are. Gives what ends it. */
export const tellOfServices = (signals: Signals, pool: Pick<Pool, 'query'>, log: Logger): (() => void) => {
  const told = ({ name, subject, message }: { readonly name: string; readonly subject: string; readonly message: string }) => {
    const ended = endings[name]
    const alert = { type: ended ?? name, entityId: subject, entityType: 'service' }
    if (ended !== undefined) return resolveAlert(pool, alert)
    return beginnings.has(name) ? raiseAlert(pool, alert, message, 'critical') : undefined
  }
  return signals.listen((signal) => {
    told(signal)?.catch(() => log.warn('an alert could not be raised', { signal: signal.name, subject: signal.subject }))
  })
}

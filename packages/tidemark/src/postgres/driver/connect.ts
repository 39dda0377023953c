import pg from 'pg'
import { TidemarkError } from '../../errors.js'
import { toPostgresError } from '../postgres-error.js'
import { parseConnection, type TargetDefaults } from './connection.js'
import { clientConfig, secure } from './pg-driver.js'
import { directUrl } from './pooler.js'
import { resolveTls } from './tls.js'

export interface ConnectOptions extends TargetDefaults {
  readonly url: string
  /** The same database past a transaction pooler. Default: what the provider's names tell, see {@link directUrl}. */
  readonly directUrl?: string
  /** Shown in `pg_stat_activity` after `tidemark/`. Default `session`. */
  readonly name?: string
  /** Default 10,000. */
  readonly connectTimeoutMs?: number
  /** Default: the server's own setting. */
  readonly statementTimeoutMs?: number
  /** A session of the replication protocol in the same database: it takes its commands beside plain SQL. Default false. */
  readonly replication?: boolean
}

/** The connection string of a real session. Raises TM_CONFIG_MISSING where a pooler hides it. */
export const sessionUrl = (url: string, given: string | undefined): string => {
  const direct = given ?? directUrl(url)
  if (direct !== undefined) return direct
  throw new TidemarkError('TM_CONFIG_MISSING', {
    option: 'DIRECT_URL',
    fix: 'DATABASE_URL leads to a transaction pooler. Set DIRECT_URL to a connection string of the server itself.',
  })
}

/**
 * One connected client of node-postgres with a session of its own, never through a transaction pooler: for COPY, LISTEN and
 * advisory locks. The caller ends it. Raises TM_POSTGRES_UNREACHABLE, _AUTHENTICATION, _TLS, _URL, _NO_DATABASE and
 * TM_CONFIG_MISSING; what the client itself raises later is the driver's, see {@link toPostgresError}.
 */
export const connectPostgres = async (options: ConnectOptions): Promise<pg.Client> => {
  const { name = 'session', connectTimeoutMs = 10_000, statementTimeoutMs, replication = false } = options
  const target = parseConnection(sessionUrl(options.url, options.directUrl), options)
  const timeoutMs = target.connectTimeoutMs ?? connectTimeoutMs
  try {
    const tls = await resolveTls(target, timeoutMs)
    const session = { applicationName: `tidemark/${name}`, connectTimeoutMs: timeoutMs, statementTimeoutMs }
    const mode = replication ? { replication: 'database' } : {}
    const client = new pg.Client({ ...clientConfig(target, tls, session), ...mode })
    secure(client, target)
    await client.connect()
    return client
  } catch (error) {
    throw toPostgresError(error, target)
  }
}

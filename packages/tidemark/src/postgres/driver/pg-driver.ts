import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'
import { Batch } from '../pool/batch.js'
import { PreparedNames } from '../pool/prepared-names.js'
import { type Ahead, QueryBehind } from '../pool/query-behind.js'
import { cancelRequest } from './cancel-request.js'
import { requireChannelBinding } from './channel-binding.js'
import type { Target } from './connection.js'
import type { Driver, SessionOptions } from './driver.js'
import { resolveTls } from './tls.js'

/** A server that went away without a word is noticed by the kernel, not after hours. */
const keepAliveAfterMs = 10_000

/** node-postgres' options for a target. Everything that a URL or the environment could decide is decided here. */
export const clientConfig = (
  target: Target,
  tls: ConnectionOptions | false,
  { applicationName, connectTimeoutMs, statementTimeoutMs }: Omit<SessionOptions, 'target' | 'onConnected'>,
): pg.ClientConfig => ({
  host: target.host,
  port: target.port,
  user: target.user,
  password: target.password,
  database: target.database,
  ssl: tls,
  sslnegotiation: target.directTls && tls !== false ? 'direct' : 'postgres',
  enableChannelBinding: tls !== false && target.channelBinding !== 'disable',
  application_name: applicationName,
  connectionTimeoutMillis: connectTimeoutMs,
  keepAlive: true,
  keepAliveInitialDelayMillis: keepAliveAfterMs,
  ...(target.options === undefined ? {} : { options: target.options }),
  // A transaction pooler knows no settings of a session and refuses a login that brings one.
  ...(statementTimeoutMs === undefined || target.transactionPooler ? {} : { statement_timeout: statementTimeoutMs }),
})

const nothing = () => undefined

/** Prepares a client that is not connected yet. */
export const secure = (client: pg.Client, { channelBinding }: Target): void => {
  // Without a listener, a connection that breaks while nobody uses it would end the process.
  client.on('error', nothing)
  if (channelBinding === 'require') requireChannelBinding(client.connection)
}

/** Each costs memory of its session, up to a megabyte for a plan over many relations. */
const maxPrepared = 128
const preparedOf = new WeakMap<pg.ClientBase, PreparedNames>()

const namesOf = (client: pg.ClientBase): PreparedNames => {
  const held = preparedOf.get(client)
  if (held) return held
  const names = new PreparedNames(maxPrepared)
  preparedOf.set(client, names)
  return names
}

const queryBehind = (client: pg.ClientBase, ahead: Ahead, query: pg.QueryConfig): Promise<pg.QueryResult> =>
  new Promise<pg.QueryResult>((resolve, reject) => {
    client.query(
      new QueryBehind(ahead, namesOf(client), query, (error, result) => (error === null ? resolve(result) : reject(error))),
    )
  }).catch((error: Error) => {
    // As node-postgres does for its own: what asked for the query, in the place of what read the socket.
    Error.captureStackTrace(error)
    throw error
  })

/** node-postgres over TCP or a Unix socket. */
export const pgDriver: Driver = {
  name: 'pg',
  clientClass: async (options) => {
    const { target, onConnected, connectTimeoutMs } = options
    const config = clientConfig(target, await resolveTls(target, connectTimeoutMs), options)
    return class PooledClient extends pg.Client {
      constructor() {
        super(config)
        const startedAt = performance.now()
        this.once('connect', () => onConnected(performance.now() - startedAt))
        secure(this, target)
      }
    }
  },
  cancel: (client) => (client instanceof pg.Client ? cancelRequest(client) : Promise.resolve()),
  batch: (client, statements) => client.query(new Batch(statements, namesOf(client))).results,
  queryBehind,
  raw: (client) => client,
}

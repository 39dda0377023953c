import type pg from 'pg'
import { TidemarkError } from '../../errors.js'
import type { Driver } from './driver.js'

type Neon = typeof import('@neondatabase/serverless')

const packageName = '@neondatabase/serverless'

const load = async (): Promise<Neon> => {
  try {
    return await import('@neondatabase/serverless')
  } catch (error) {
    throw new TidemarkError('TM_POSTGRES_DRIVER_MISSING', { driver: packageName }, { cause: error })
  }
}

const nothing = () => undefined

/**
 * Neon's own driver: node-postgres' protocol inside a WebSocket. The WebSocket's TLS, checked by Node, is what secures it:
 * there is no channel to bind the login to, and `sslmode` says nothing here. Statements cannot be cancelled from outside.
 */
export const neonDriver: Driver = {
  name: 'neon',
  clientClass: async ({ target, applicationName, onConnected, connectTimeoutMs, statementTimeoutMs }) => {
    const { Client } = await load()
    return class PooledNeonClient extends Client {
      constructor() {
        super({
          host: target.host,
          port: target.port,
          user: target.user,
          ...(target.password === undefined ? {} : { password: target.password }),
          database: target.database,
          application_name: applicationName,
          connectionTimeoutMillis: connectTimeoutMs,
          ...(target.options === undefined ? {} : { options: target.options }),
          ...(statementTimeoutMs === undefined || target.transactionPooler ? {} : { statement_timeout: statementTimeoutMs }),
        })
        const startedAt = performance.now()
        const emitter = this as unknown as NodeJS.EventEmitter
        emitter.once('connect', () => onConnected(performance.now() - startedAt))
        emitter.on('error', nothing)
      }
    } as unknown as new () => pg.ClientBase
  },
  cancel: () => Promise.resolve(),
  raw: () => undefined,
}

import { type ConnectOptions, connectPostgres } from '../postgres/driver/connect.js'
import type { SchemaConnect } from './schema.js'

const withDatabase = (url: string, database: string): string => {
  const changed = new URL(url)
  changed.pathname = `/${encodeURIComponent(database)}`
  return changed.href
}

/** Direct sessions of one connection string, as the migrator asks for them. Raises TM_POSTGRES_* and TM_CONFIG_MISSING. */
export const sessionsOf =
  (options: ConnectOptions): SchemaConnect =>
  (database) => {
    const { url, directUrl } = options
    if (database === undefined) return connectPostgres({ name: 'schema', ...options })
    const direct = directUrl === undefined ? {} : { directUrl: withDatabase(directUrl, database) }
    return connectPostgres({ name: 'schema', ...options, url: withDatabase(url, database), ...direct })
  }

import { parsePostgresUrl } from './postgres-url.js'

const transactionPoolerPort = '6543'
const neonPooler = /^([^.]+)-pooler(\.)/
const supabaseHosts = /\.(pooler\.supabase\.com|supabase\.co)$/

/**
 * True where the connection string leads to a pooler that gives every transaction another session, as far as it shows:
 * Supabase's port 6543, Neon's `-pooler` host, `pgbouncer=true`. There, nothing outlives a transaction: no named prepared
 * statement, no LISTEN, no session SET, no session advisory lock.
 */
export const isTransactionPooler = (url: string): boolean => {
  const parsed = parsePostgresUrl(url)
  if (parsed === undefined) return false
  return (
    parsed.port === transactionPoolerPort ||
    parsed.searchParams.get('port') === transactionPoolerPort ||
    neonPooler.test(parsed.hostname) ||
    parsed.searchParams.get('pgbouncer') === 'true'
  )
}

/**
 * The connection string of the same database past the pooler, where the provider's names tell it; the same one where
 * there is no pooler; undefined where only the user can know (`DIRECT_URL`).
 */
export const directUrl = (url: string): string | undefined => {
  if (!isTransactionPooler(url)) return url
  const direct = parsePostgresUrl(url)
  if (direct === undefined) return undefined
  direct.searchParams.delete('pgbouncer')
  if (neonPooler.test(direct.hostname)) {
    direct.hostname = direct.hostname.replace(neonPooler, '$1$2')
    return direct.href
  }
  if (!supabaseHosts.test(direct.hostname) || direct.port !== transactionPoolerPort) return undefined
  direct.port = '5432'
  return direct.href
}

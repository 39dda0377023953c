import { isIP } from 'node:net'
import { TidemarkError } from '../../errors.js'
import { isTransactionPooler } from './pooler.js'
import { noHost, parsePostgresUrl } from './postgres-url.js'

/**
 * How the connection is secured, with libpq's meaning: prefer = TLS where the server offers it · require = TLS, whoever
 * answers · verify-ca = a certificate of the given authority · verify-full = one that also names the host.
 */
export type SslMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

/** require = refuse a server that cannot tie the login to the TLS connection (SCRAM-SHA-256-PLUS). */
export type ChannelBinding = 'disable' | 'prefer' | 'require'

/** A connection string taken apart, once. */
export interface Target {
  /** A host name, an address, or the folder of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  /** Not enumerable, so that no log or dump of the target shows it. */
  readonly password: string | undefined
  readonly sslMode: SslMode
  /** TLS from the first byte (`sslnegotiation=direct`), as Postgres 17 and later understand. */
  readonly directTls: boolean
  readonly channelBinding: ChannelBinding
  /** Files in PEM. `system` stands for the authorities that Node knows. */
  readonly rootCertificate: string | undefined
  readonly certificate: string | undefined
  readonly key: string | undefined
  /** libpq's `options`: settings of the session such as `-c search_path=app`. */
  readonly options: string | undefined
  /** The connection string asks for it; otherwise the pool decides. */
  readonly connectTimeoutMs: number | undefined
  readonly transactionPooler: boolean
  /** `host:port/database`: how errors and logs call it. */
  readonly name: string
}

export interface TargetDefaults {
  /** Where the connection string names none. Default: `prefer` on this machine, `require` elsewhere. */
  readonly sslMode?: SslMode
  /** Where the connection string names none. Default `prefer`. */
  readonly channelBinding?: ChannelBinding
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host)

const sslModes = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
const bindings = ['disable', 'prefer', 'require'] as const

const invalid = (reason: string): TidemarkError<'TM_POSTGRES_URL'> => new TidemarkError('TM_POSTGRES_URL', { reason })

const oneOf = <T extends string>(name: string, value: string, known: readonly T[]): T => {
  const found = known.find((entry) => entry === value)
  if (found === undefined) throw invalid(`${name} is "${value}", and may be ${known.join(', ')}`)
  return found
}

const parseUrl = (text: string): URL => {
  const url = parsePostgresUrl(text)
  if (url === undefined) throw invalid('it is not a URL')
  if (!/^postgres(ql)?:$/.test(url.protocol)) throw invalid(`its scheme is "${url.protocol}"`)
  return url
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('a % in it is not followed by two hexadecimal digits (write %25 for a percent sign)')
  }
}

const hostOf = (url: URL): string => {
  const named = url.searchParams.get('host')
  const host = named ?? (url.hostname === noHost ? 'localhost' : decode(url.hostname.replace(/^\[(.*)\]$/, '$1')))
  if (host.includes(',')) throw invalid('it names several hosts; Tidemark connects to one')
  return host
}

const portOf = (url: URL): number => {
  const text = url.searchParams.get('port') ?? url.port
  if (text === '') return 5432
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalid(`its port is "${text}"`)
  return port
}

/** `ssl=true` is what several hosting providers write, `no-verify` what node-postgres once invented for libpq's require. */
const sslModeOf = ({ searchParams }: URL, fallback: SslMode): SslMode => {
  const mode = searchParams.get('sslmode')
  if (mode === 'no-verify') return 'require'
  if (mode === 'allow') return 'prefer'
  if (mode !== null) return oneOf('sslmode', mode, sslModes)
  const flag = searchParams.get('ssl')
  if (flag === 'true' || flag === '1') return 'require'
  return flag === 'false' || flag === '0' ? 'disable' : fallback
}

/** libpq reads `require` with a root certificate as verify-ca, and refuses to verify against nothing. */
const checkedSslMode = (mode: SslMode, rootCertificate: string | undefined, channelBinding: ChannelBinding): SslMode => {
  const effective = mode === 'require' && rootCertificate !== undefined && rootCertificate !== 'system' ? 'verify-ca' : mode
  if (effective === 'verify-ca' && (rootCertificate === undefined || rootCertificate === 'system')) {
    throw invalid(
      'sslmode=verify-ca needs sslrootcert=<file>: with a public authority anybody can have a certificate; use verify-full',
    )
  }
  if (channelBinding === 'require' && effective === 'disable')
    throw invalid('channel_binding=require needs TLS, and sslmode is disable')
  return effective
}

const timeoutOf = (text: string | null): number | undefined => {
  if (text === null || text === '' || text === '0') return undefined
  const seconds = Number(text)
  if (!Number.isFinite(seconds) || seconds < 0) throw invalid(`connect_timeout is "${text}"`)
  return seconds * 1000
}

const databaseName = (url: URL, user: string): string => decode(url.pathname.slice(1)) || url.searchParams.get('dbname') || user

const loginOf = (url: URL): { user: string; password: string | undefined } => {
  const user = decode(url.username) || url.searchParams.get('user') || process.env['PGUSER'] || process.env['USER'] || 'postgres'
  return { user, password: decode(url.password) || url.searchParams.get('password') || undefined }
}

/**
 * Takes a `postgres://` connection string apart. TLS and channel binding are decided here and set in code later, since
 * drivers differ in what they make of the parameters of a URL. Raises TM_POSTGRES_URL, which does not quote it.
 */
export const parseConnection = (text: string, defaults: TargetDefaults = {}): Target => {
  const url = parseUrl(text)
  const parameters = url.searchParams
  const [host, port] = [hostOf(url), portOf(url)]
  const { user, password } = loginOf(url)
  const database = databaseName(url, user)
  const rootCertificate = parameters.get('sslrootcert') ?? undefined
  const isSocket = host.startsWith('/')
  const binding = parameters.get('channel_binding')
  const channelBinding = binding === null ? (defaults.channelBinding ?? 'prefer') : oneOf('channel_binding', binding, bindings)
  // A password and rows cross the network only under TLS, unless somebody says otherwise; on this machine they cross none.
  const usual = isLoopback(host) ? 'prefer' : 'require'
  const mode = isSocket ? 'disable' : sslModeOf(url, defaults.sslMode ?? usual)
  const target = {
    host,
    port,
    database,
    user,
    sslMode: checkedSslMode(mode, rootCertificate, channelBinding),
    directTls: parameters.get('sslnegotiation') === 'direct',
    channelBinding,
    rootCertificate,
    certificate: parameters.get('sslcert') ?? undefined,
    key: parameters.get('sslkey') ?? undefined,
    options: parameters.get('options') ?? undefined,
    connectTimeoutMs: timeoutOf(parameters.get('connect_timeout')),
    transactionPooler: isTransactionPooler(text),
    name: `${isIP(host) === 6 ? `[${host}]` : host}:${port}/${database}`,
  }
  return Object.defineProperty(target, 'password', { value: password, enumerable: false }) as typeof target &
    Pick<Target, 'password'>
}

import { poolDemand } from '../../../config/config.js'
import { isTidemarkError, reasonOf, toTidemarkError } from '../../../errors.js'
import type { ConnectOptions } from '../../../postgres/postgres.js'
import type { SchemaClient } from '../../../schema/schema.js'
import { isAlive } from '../../../state/state.js'
import type { Project } from '../../project/project.js'
import { checkFeed } from './doctor-feed.js'
import { away, type Finding, fail, ok, warn } from './finding.js'

interface Facts {
  readonly version: string
  readonly role: string
  readonly superuser: boolean
  readonly wal_level: string
  readonly max_connections: number
  readonly slot_limit: string | null
  readonly tls: boolean
  readonly now_ms: number
  readonly prepared: boolean
  readonly migrators: boolean
}

const factsSql = `
  select split_part(current_setting('server_version'), ' ', 1) as version,
         current_user::text as role,
         (select rolsuper from pg_roles where rolname = current_user) as superuser,
         current_setting('wal_level') as wal_level,
         current_setting('max_connections')::int as max_connections,
         current_setting('max_slot_wal_keep_size', true) as slot_limit,
         coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as tls,
         (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms,
         to_regnamespace('tidemark') is not null as prepared,
         exists (select from pg_roles where rolname = 'tidemark_migrator') as migrators`

const isLocal = (host: string): boolean => host.startsWith('/') || ['127.0.0.1', '::1', 'localhost'].includes(host)

const checkServer = (facts: Facts, embedded: boolean): readonly Finding[] => {
  const findings = [ok('postgres', `Postgres ${facts.version}${embedded ? ' (embedded)' : ''}, as ${facts.role}`)]
  if (facts.wal_level !== 'logical') {
    findings.push(
      warn(
        'postgres wal_level',
        `${facts.wal_level}`,
        'Set wal_level = logical and restart Postgres. A move works without it; following changes will not.',
      ),
    )
  }
  if (facts.wal_level === 'logical' && facts.slot_limit === '-1') {
    findings.push(
      warn(
        'postgres slots',
        'max_slot_wal_keep_size is unlimited',
        'Set a limit such as 4GB: a slot that nobody reads can fill the disk.',
      ),
    )
  }
  if (!facts.prepared || !facts.migrators) {
    findings.push(
      warn('postgres roles', 'the database is not prepared yet', 'The first `tidemark start` or `tidemark move` prepares it.'),
    )
  }
  if (facts.superuser && !embedded && facts.prepared) {
    findings.push(
      warn(
        'postgres superuser',
        `${facts.role} is a superuser`,
        'It is used to prepare the database only. Once that is done, DATABASE_URL may name a lesser role.',
      ),
    )
  }
  return findings
}

const checkLimits = ({ config }: Project, facts: Facts): readonly Finding[] => {
  const [primary] = poolDemand(config)
  const connections = primary?.connections ?? 0
  const message = `the pools may open ${connections} of ${facts.max_connections} connections`
  if (connections <= facts.max_connections - 3) return [ok('postgres connections', message)]
  return [warn('postgres connections', message, 'Lower postgres.<pool>.maxConnections or raise max_connections.')]
}

const checkClock = (facts: Facts, askedAt: number, answeredAt: number): readonly Finding[] => {
  // The server read its clock somewhere between asking and answering.
  const skewMs = Math.max(0, askedAt - facts.now_ms, facts.now_ms - answeredAt)
  const message = `this clock and that of Postgres differ by ${Math.round(skewMs)} ms`
  if (skewMs < 1000) return [ok('clock', message)]
  return [warn('clock', message, 'Turn on time synchronisation (NTP) on both machines.')]
}

/** What callers reach past row-level security, once there is something to reach. */
const checkOpen = async (
  { config }: Project,
  client: Pick<SchemaClient, 'query'>,
  { prepared }: Facts,
): Promise<readonly Finding[]> => {
  if (!prepared) return []
  const { checkExposure } = await import('../../../schema/exposure/check-exposure.js')
  const { findings, schemas } = await checkExposure(client, { schemas: config.rest.schemas, accepted: config.schema.accepted })
  const errors = findings.filter(({ level }) => level === 'error')
  if (errors.length === 0) return [ok('row security', `nothing in ${schemas.join(', ')} is open that should not be`)]
  const named = errors.slice(0, 3).map(({ object }) => object)
  const more = errors.length > named.length ? ' …' : ''
  return [
    warn(
      'row security',
      `open to anon or authenticated: ${named.join(', ')}${more}`,
      'Run `tidemark schema check`: it says why, and which SQL closes it.',
    ),
  ]
}

interface Place {
  readonly options: ConnectOptions
  readonly embedded: boolean
}

/** Where Postgres is, or why there is nothing to connect to now. */
const locate = async ({ config, state }: Project): Promise<Place | readonly Finding[]> => {
  const { postgres } = config
  const shared = {
    name: 'doctor',
    connectTimeoutMs: 5000,
    statementTimeoutMs: 5000,
    ...(postgres.sslMode !== undefined && { sslMode: postgres.sslMode }),
    ...(postgres.channelBinding !== undefined && { channelBinding: postgres.channelBinding }),
  }
  if (postgres.url !== undefined) {
    const direct = postgres.directUrl === undefined ? {} : { directUrl: postgres.directUrl }
    return { embedded: false, options: { ...shared, ...direct, url: postgres.url } }
  }
  const record = await state.child('postgres').read()
  if (record && (await isAlive(record))) {
    const { superuserUrl } = await import('../../../postgres/embedded/confirm.js')
    return { embedded: true, options: { ...shared, url: superuserUrl(record.port, await state.secret('postgres-superuser')) } }
  }
  const { describeEmbeddedPostgres } = await import('../../../postgres/embedded/embedded.js')
  const { dataDir, version, elsewhere } = await describeEmbeddedPostgres(state.dir)
  const why = elsewhere === undefined ? '' : ` (${elsewhere})`
  return [ok('postgres', `embedded Postgres ${version} starts with the next command that needs it; data in ${dataDir}${why}`)]
}

const checkPooler = async ({ config }: Project): Promise<readonly Finding[]> => {
  const { url, directUrl: given } = config.postgres
  if (url === undefined) return []
  const { directUrl, isTransactionPooler } = await import('../../../postgres/postgres.js')
  if (!isTransactionPooler(url)) return []
  if ((given ?? directUrl(url)) !== undefined)
    return [ok('postgres pooler', 'DATABASE_URL leads to a transaction pooler; sessions go past it')]
  return [
    fail(
      'postgres pooler',
      'DATABASE_URL leads to a transaction pooler, and there is no way past it',
      'Set DIRECT_URL to the server itself, for migrations, moves and the feed.',
    ),
  ]
}

const inspect = async (project: Project, { options, embedded }: Place): Promise<readonly Finding[]> => {
  const { connectPostgres, parseConnection } = await import('../../../postgres/postgres.js')
  const client = await connectPostgres(options)
  try {
    const askedAt = Date.now()
    const { rows } = await client.query<Facts>(factsSql)
    const facts = rows[0]!
    const { host } = parseConnection(options.url)
    const plain = facts.tls || isLocal(host)
    return [
      ...checkServer(facts, embedded),
      ...checkLimits(project, facts),
      ...checkClock(facts, askedAt, Date.now()),
      plain
        ? ok('postgres tls', facts.tls ? 'encrypted' : 'not encrypted, on this machine')
        : warn(
            'postgres tls',
            `the connection to ${host} is not encrypted`,
            'Add sslmode=require (or verify-full) to the URL, or set PGSSLMODE.',
          ),
      ...(facts.wal_level === 'logical' ? await checkFeed(client as SchemaClient) : []),
      ...(await checkOpen(project, client, facts)),
    ]
  } finally {
    await client.end().catch(() => undefined)
  }
}

const reach = async (project: Project): Promise<readonly Finding[]> => {
  try {
    const place = await locate(project)
    return 'options' in place ? await inspect(project, place) : place
  } catch (error) {
    const known = toTidemarkError(error)
    const fix = isTidemarkError(error) ? known.fix : 'See the reason.'
    return [away('postgres', isTidemarkError(error) ? known.message : reasonOf(error), fix)]
  }
}

/** Reaches Postgres where it runs, and looks at what matters to Tidemark. */
export const checkPostgres = async (project: Project): Promise<readonly Finding[]> => {
  const pooler = await checkPooler(project)
  // Nothing else works without a session.
  if (pooler.some(({ verdict }) => verdict === 'fail')) return pooler
  return [...pooler, ...(await reach(project))]
}

import { createHash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Logger } from '../../observability/observability.js'
import { isoText, type Pool } from '../../postgres/postgres.js'
import { maskSecrets } from '../../secrets.js'
import type { Audit } from './gate.js'
import type { Operator } from './operator.js'

export interface AuditOptions {
  /** Undefined while the server starts. */
  pool(): Pool | undefined
  readonly log: Logger
}

/** An operation that waits for the log waits no longer: it may be what brings Postgres back. */
const patienceMs = 2_000
const longestText = 500

/** Postgres holds no NUL, and jsonb no half of a pair, which a cut may leave, too. */
const storable = (text: string): string => text.replaceAll('\0', '\u2400').replace(/\p{Surrogate}/gu, '\uFFFD')

/** As it may be kept: connection strings without their passwords, and nothing endless. */
const keepable = (value: unknown, depth = 0): unknown => {
  if (typeof value === 'string') return storable(maskSecrets(value).slice(0, longestText))
  if (Array.isArray(value)) return value.slice(0, 50).map((each) => keepable(each, depth + 1))
  if (typeof value !== 'object' || value === null) return value
  if (depth > 3) return '…'
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, 50)
      .map(([name, each]) => [name, keepableField(name, each, depth + 1)]),
  )
}

/** Who wrote it and which it was can be proven; what it says stands where only those read it who may. */
const digestOf = (value: unknown): string => {
  const text = String(value)
  return `sha256:${createHash('sha256').update(text).digest('hex')}, ${Buffer.byteLength(text)} bytes`
}

const keepableField = (name: string, value: unknown, depth: number): unknown => {
  if (/token|secret|password/i.test(name)) return '***'
  return name === 'payload' ? digestOf(value) : keepable(value, depth)
}

/** As the name of a table: lines of what operators did. */
const operations = 'tidemark.operations'

const insert = `insert into public.audit_log (actor, actor_role, request_id, action, table_name, record_id, new_data)
  values ($1, $2, $3, $4, '${operations}', $5, $6::jsonb)`

const actionOf = ({ method, routeOptions }: FastifyRequest): string =>
  `${method} ${(routeOptions.url ?? '').replace('/admin/v1', '')}`

/** What an action is about, where its request names one thing. */
const subjectOf = ({ query, body, params }: FastifyRequest): string | null => {
  const given = { ...(query as object), ...(body as object), ...(params as object) } as Readonly<Record<string, unknown>>
  const subject = ['file', 'id', 'key', 'tag', 'table', 'entry', 'service', 'channel', 'topic', 'name'].map((name) => given[name])
  const found = subject.find((value) => typeof value === 'string')
  return found === undefined ? null : storable(String(found).slice(0, 200))
}

/** Writes what operators do to `audit_log`. Where Postgres is away, the server's own log has it. */
export const createAudit = ({ pool, log }: AuditOptions): Audit => {
  /** Whether the table has it. */
  const write = async (request: FastifyRequest, operator: Operator, status: number | undefined): Promise<boolean> => {
    const action = actionOf(request)
    const data = {
      path: request.params,
      query: keepable(request.query),
      body: keepable(request.body),
      ...(status !== undefined && { status }),
    }
    const values = [operator.name, `operator:${operator.role}`, request.id, action, subjectOf(request), JSON.stringify(data)]
    log.info('an operator acts', {
      operator: operator.name,
      role: operator.role,
      requestId: request.id,
      action,
      ...(status !== undefined && { status }),
    })
    try {
      await pool()?.query(insert, values, { signal: AbortSignal.timeout(patienceMs) })
      return pool() !== undefined
    } catch (err) {
      log.warn('the audit log did not take an action', { requestId: request.id, action, err })
      return false
    }
  }
  return {
    begun: (request, operator) => write(request, operator, undefined),
    failed: async (request, operator, status) => void (await write(request, operator, status)),
  }
}

export const auditRequest = z.strictObject({
  actor: z.string().min(1).max(200).optional(),
  action: z.string().min(1).max(200).optional(),
  table: z.string().min(1).max(200).optional(),
  /** Entries older than this one. */
  before: z.coerce.number().int().min(1).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
})

/** One line of `audit_log`: of an operator, or of a trigger that notes who changed a row. */
export interface AuditEntry {
  readonly id: number
  readonly actor: string | null
  readonly role: string | null
  readonly requestId: string | null
  readonly action: string
  readonly table: string
  readonly record: string | null
  readonly old: unknown
  readonly new: unknown
  readonly at: string
}

const select = `select id::float8 as id, actor, actor_role as role, request_id as "requestId", action, table_name as "table", record_id as record,
    case when $6::boolean or table_name = '${operations}' then old_data end as old,
    case when $6::boolean or table_name = '${operations}' then new_data end as new, ${isoText('created_at')} as at
  from public.audit_log
 where ($1::text is null or actor = $1) and ($2::text is null or starts_with(action, $2)) and ($3::text is null or table_name = $3)
   and ($4::bigint is null or id < $4)
 order by id desc limit $5`

/** The newest first. `withRows`: with what changed rows were and are, besides what operators did. */
export const auditList = async (
  pool: Pool,
  { actor, action, table, before, limit }: z.output<typeof auditRequest>,
  withRows: boolean,
): Promise<{ readonly entries: readonly AuditEntry[] }> => {
  const values = [actor ?? null, action ?? null, table ?? null, before ?? null, limit, withRows]
  return { entries: (await pool.query<AuditEntry>(select, values, { idempotent: true })).rows }
}

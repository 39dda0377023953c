import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isDevelopment } from '../../auth/settings.js'
import type { TidemarkConfig } from '../../config/config.js'
import { TidemarkError } from '../../errors.js'
import { tableIdOf } from '../../feed/table-id.js'
import { ownHost } from '../http/own-host.js'
import type { Runtime } from '../runtime.js'
import { servesRealtime } from './serves-realtime.js'

export interface LivePageOptions {
  readonly config: TidemarkConfig
  /** Undefined while the server starts. */
  runtime(): Pick<Runtime, 'pools'> | undefined
  anonKey(): Promise<string>
}

interface LiveTable {
  readonly schema: string
  readonly name: string
  readonly rowSecurity: boolean
  readonly anonReads: boolean
}

const file = new URL('../../../pages/live.html', import.meta.url)

/** A role that is not there is null, and may nothing. */
const tablesSql = `
  select n.nspname as schema, c.relname as name, c.relrowsecurity as "rowSecurity",
         coalesce(has_schema_privilege(to_regrole('anon'), n.oid, 'usage')
              and has_any_column_privilege(to_regrole('anon'), c.oid, 'select'), false) as "anonReads"
    from (select schemaname, tablename from pg_publication_tables where pubname = 'supabase_realtime'
          union select * from unnest($1::text[], $2::text[])) as told (schema, name)
    join pg_namespace n on n.nspname = told.schema
    join pg_class c on c.relnamespace = n.oid and c.relname = told.name
   order by 1, 2 limit 500`

const hashOf = (html: string, tag: 'script' | 'style'): string => {
  const [, text] = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(html) ?? []
  if (text === undefined) throw new Error(`the page has no <${tag}>`)
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

/** Only what stands in the page runs, and it speaks with nobody but the server that it came from. */
const policyOf = (html: string): ((host: string) => string) => {
  const [script, style] = [hashOf(html, 'script'), hashOf(html, 'style')]
  const rest = "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
  return (host) => `default-src 'none'; script-src ${script}; style-src ${style}; connect-src 'self' ws://${host}; ${rest}`
}

const hostOf = (request: FastifyRequest, path: string): string => {
  const host = ownHost(request)
  if (host === undefined) throw new TidemarkError('TM_SERVER_NOT_FOUND', { method: request.method, path })
  return host
}

/** Where the environment is not development nobody finds it: a server that others reach has nothing of the kind. */
export const showsLivePage = (config: TidemarkConfig): boolean => isDevelopment(config) && servesRealtime(config)

/**
 * `/live` in development, for browsers of the server's own machine: changes as they come, over `/realtime/v1`. It holds the public key
 * (and never another one): what is shown is what grants and policies let that key, or a token entered by hand, see.
 */
export const addLivePage = async (app: FastifyInstance, options: LivePageOptions): Promise<void> => {
  const { config } = options
  if (!showsLivePage(config)) return
  const tables = config.realtime.tables.map(tableIdOf)
  const values = [tables.map(({ schema }) => schema), tables.map(({ table }) => table)]
  let page: Promise<{ readonly html: string; readonly policy: (host: string) => string }> | undefined

  const load = async () => {
    const html = await readFile(file, 'utf8')
    return { html, policy: policyOf(html) }
  }

  app.get('/live', async (request: FastifyRequest, reply: FastifyReply) => {
    const host = hostOf(request, '/live')
    page ??= load()
    const { html, policy } = await page
    return reply
      .header('content-security-policy', policy(host))
      .header('cache-control', 'no-cache')
      .type('text/html; charset=utf-8')
      .send(html)
  })

  app.get('/live.json', async (request: FastifyRequest, reply: FastifyReply) => {
    hostOf(request, '/live.json')
    const runtime = options.runtime()
    if (!runtime) throw new TidemarkError('TM_SERVER_STARTING', {})
    const { rows } = await runtime.pools.primary.query<LiveTable>(tablesSql, values, { idempotent: true })
    return reply.header('cache-control', 'no-store').send({ key: await options.anonKey(), tables: rows })
  })
}

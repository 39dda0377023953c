import { checkExposure } from '../../schema/exposure/check-exposure.js'
import type { SchemaClient } from '../../schema/schema.js'
import type { AccessDeclaration } from './declaration.js'
import type { AccessSession } from './scene.js'

const schemaOf = ({ schema = 'public' }: AccessDeclaration): string => schema

const notOfExtension = (catalog: string, oid: string) =>
  `not exists (select from pg_depend d where d.classid = '${catalog}'::regclass and d.objid = ${oid} and d.deptype = 'e')`

/** Partitions stand under their table's policies when it is asked, and the check of exposure looks at each by itself. */
const relationsSql = `
  select relname::text as name from pg_class
   where relnamespace = to_regnamespace(quote_ident($1)) and relkind in ('r', 'p', 'v', 'm', 'f') and not relispartition
     and ${notOfExtension('pg_class', 'oid')} order by 1`

const functionsSql = `
  select p.oid::int8::text as id, format('%s(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) as signature,
         format('%s(%s)', p.proname, (select string_agg(format_type(t, null), ', ' order by n)
            from unnest(p.proargtypes::oid[]) with ordinality a(t, n))) as name
    from pg_proc p
   where pronamespace = to_regnamespace(quote_ident($1)) and prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
     and ${notOfExtension('pg_proc', 'p.oid')} order by 3`

const missing = (kind: string, declared: readonly string[], there: readonly string[]): readonly string[] => [
  ...there.filter((name) => !declared.includes(name)).map((name) => `${kind} ${name} is not declared.`),
  ...declared.filter((name) => !there.includes(name)).map((name) => `${kind} ${name} is declared and not there.`),
]

interface CallableFunction {
  readonly id: string
  readonly name: string
}

/** Tidemark's own, which the server and the service may call. */
const platformFunctions: ReadonlySet<string> = new Set([
  'publish_alert(text, text, text, text, text, jsonb)',
  'resolve_alert(text, text, text, text, jsonb)',
])

const functionsOf = async (session: AccessSession, declaration: AccessDeclaration): Promise<readonly CallableFunction[]> => {
  const { rows } = await session.query(functionsSql, [schemaOf(declaration)])
  const declared = declaration.functions ?? {}
  return (rows as unknown as readonly CallableFunction[]).filter(({ name }) => name in declared || !platformFunctions.has(name))
}

/** Tidemark's own, under their documented names in public: no application declares who reaches them. */
const platformTables: ReadonlySet<string> = new Set([
  'alerts',
  'api_metrics',
  'audit_log',
  'circuit_breaker_events',
  'webhook_events',
])

/** Whatever the schema holds is declared, and the other way round. */
export const checkCompleteness = async (session: AccessSession, declaration: AccessDeclaration): Promise<readonly string[]> => {
  const { rows } = await session.query(relationsSql, [schemaOf(declaration)])
  const functions = await functionsOf(session, declaration)
  return [
    ...missing(
      'table',
      Object.keys(declaration.tables),
      rows.map(({ name }) => String(name)).filter((name) => name in declaration.tables || !platformTables.has(name)),
    ),
    ...missing(
      'function',
      Object.keys(declaration.functions ?? {}),
      functions.map(({ name }) => name),
    ),
  ]
}

/** A caller may execute what is declared, and nothing else. */
export const checkFunctions = async (
  session: AccessSession,
  declaration: AccessDeclaration,
  callerName: string,
): Promise<readonly string[]> => {
  const role = declaration.callers[callerName]?.role ?? ''
  const violations: string[] = []
  for (const { id, name } of await functionsOf(session, declaration)) {
    const wanted = declaration.functions?.[name]?.includes(callerName) === true
    const { rows } = await session.query(
      `select has_function_privilege($1, $2::oid, 'EXECUTE') and has_schema_privilege($1, quote_ident($3)::regnamespace, 'USAGE') as may`,
      [role, id, schemaOf(declaration)],
    )
    const may = rows[0]?.['may'] === true
    if (may !== wanted)
      violations.push(`${callerName} ${may ? 'may' : 'may not'} execute ${name}, and should${wanted ? '' : ' not'}.`)
  }
  return violations
}

const openings: ReadonlySet<string> = new Set(['truncateGranted', 'sequenceGranted'])

/** What the matrix cannot try: definer functions, views above their tables, TRUNCATE, sequences. */
export const checkOpenings = async (session: AccessSession, declaration: AccessDeclaration): Promise<readonly string[]> => {
  const { findings } = await checkExposure(session as unknown as SchemaClient, {
    schemas: [schemaOf(declaration)],
    ...(declaration.accepted && { accepted: declaration.accepted }),
  })
  return findings
    .filter(({ level, code }) => level === 'error' || openings.has(code))
    .map(({ object, why, fix }) => `${object}: ${why} ${fix}`)
}

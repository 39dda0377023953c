import { createInterface } from 'node:readline/promises'
import type pg from 'pg'
import { exitCodes, TidemarkError, toTidemarkError } from '../../errors.js'
import { type ConnectOptions, connectPostgres, parseConnection, toPostgresError } from '../../postgres/postgres.js'
import type { CommandContext } from '../context.js'
import { renderFailure } from '../failure.js'
import { table } from '../text/table.js'

const help = `  \\dt            tables        \\dn            schemas
  \\d <table>     its columns   \\q             quit
  A statement may run over several lines; it ends with a semicolon.`

const listTables = `
  select n.nspname as schema, c.relname as name, case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end as type
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm') and n.nspname !~ '^(pg_|information_schema$)' order by 1, 2`

const listSchemas = `select nspname as schema from pg_namespace where nspname !~ '^(pg_|information_schema$)' order by 1`

const describeTable = `
  select a.attname as column, format_type(a.atttypid, a.atttypmod) as type,
         case when a.attnotnull then 'not null' else '' end as nullable,
         coalesce(pg_get_expr(d.adbin, d.adrelid), '') as default
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum`

/** A statement and its values, for what was typed; undefined for what is no command. */
const metaCommand = (line: string): { readonly text: string; readonly values?: readonly string[] } | undefined => {
  const [command, argument] = line.trim().split(/\s+/, 2)
  if (command === '\\dt') return { text: listTables }
  if (command === '\\dn') return { text: listSchemas }
  if (command === '\\d') return argument === undefined ? { text: listTables } : { text: describeTable, values: [argument] }
  return undefined
}

const shown = (value: unknown): string =>
  value === null || value === undefined ? '' : typeof value === 'string' ? value : String(value)

const resultText = ({ fields, rows, command, rowCount }: pg.QueryArrayResult): string => {
  if (fields.length === 0) return `${command} ${rowCount ?? ''}`.trim()
  const body = table(
    fields.map(({ name }) => name),
    rows.map((row) => row.map(shown)),
  )
  return `${body}\n(${rows.length} row${rows.length === 1 ? '' : 's'})`
}

/** Every value as Postgres writes it: a prompt shows, and does not convert. */
const asText = { getTypeParser: () => (value: string) => value }

const ask = async (client: pg.Client, text: string, values: readonly string[] = []): Promise<readonly pg.QueryArrayResult[]> => {
  const answer: unknown =
    values.length > 0
      ? await client.query({ text, values: [...values], rowMode: 'array', types: asText })
      : await client.query({ text, rowMode: 'array', types: asText })
  return (Array.isArray(answer) ? answer : [answer]) as readonly pg.QueryArrayResult[]
}

const asData = ({ fields, rows, command, rowCount }: pg.QueryArrayResult) => ({
  command,
  rowCount,
  rows: rows.map((row) => Object.fromEntries(fields.map(({ name }, index) => [name, row[index] ?? null]))),
})

const runOnce = async (
  { terminal }: CommandContext,
  client: pg.Client,
  options: ConnectOptions,
  command: string,
): Promise<number> => {
  const meta = metaCommand(command)
  const results = await ask(client, meta?.text ?? command, meta?.values).catch((error: unknown) => {
    throw toPostgresError(error, parseConnection(options.url))
  })
  terminal.result({ results: results.map(asData) }, () => results.map(resultText).join('\n'))
  return exitCodes.ok
}

const converse = async (
  { io, terminal, interrupt }: CommandContext,
  client: pg.Client,
  options: ConnectOptions,
): Promise<number> => {
  const target = parseConnection(options.url)
  const lines = createInterface({ input: io.stdin, output: io.stdout, terminal: io.stdin.isTTY === true })
  const show = async (text: string, values?: readonly string[]): Promise<void> => {
    try {
      for (const result of await ask(client, text, values)) io.stdout.write(`${resultText(result)}\n`)
    } catch (error) {
      io.stderr.write(`${renderFailure(toPostgresError(error, target), terminal.colors, terminal.verbose)}\n`)
    }
  }
  let pending = ''
  const prompt = (): void => {
    lines.setPrompt(`${target.database}${pending === '' ? '=>' : '->'} `)
    if (io.stdin.isTTY) lines.prompt()
  }
  interrupt.signal.addEventListener('abort', () => lines.close(), { once: true })
  terminal.note(`Connected to ${target.name} as ${target.user}.\n${help}`)
  prompt()
  for await (const line of lines) {
    const meta = pending === '' ? metaCommand(line) : undefined
    if (pending === '' && /^\s*(\\q|exit|quit);?\s*$/.test(line)) break
    if (meta) await show(meta.text, meta.values)
    else if (pending === '' && line.trim().startsWith('\\')) io.stdout.write(`${help}\n`)
    else pending += `${line}\n`
    if (/;\s*$/.test(pending)) {
      await show(pending)
      pending = ''
    } else if (pending.trim() === '') pending = ''
    prompt()
  }
  if (pending.trim() !== '') await show(pending)
  lines.close()
  return exitCodes.ok
}

/** A small SQL prompt for machines without psql. Ends with \\q or the end of the input. */
export const runSqlPrompt = async (
  context: CommandContext,
  options: ConnectOptions,
  command: string | undefined,
): Promise<number> => {
  if (command === undefined && context.terminal.json) {
    throw new TidemarkError('TM_CLI_USAGE', { reason: 'With --json the statement has to be given.', command: 'tidemark db psql' })
  }
  const client = await connectPostgres(options)
  client.on('error', (error) => context.terminal.warn(toTidemarkError(error).message))
  try {
    return command === undefined ? await converse(context, client, options) : await runOnce(context, client, options, command)
  } finally {
    await client.end().catch(() => undefined)
  }
}

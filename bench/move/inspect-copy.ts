// Looks at what a contender has made: a fast copy that lost something is no baseline.
import type pg from 'pg'
import { benchTables, rowCounts } from './tables.ts'

const countOf = async (client: pg.Client, schema: string, table: string): Promise<number> => {
  const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM ${schema}.${table}`)
  return Number(rows[0]!.count)
}

/** One sentence for each table whose number of rows is not that of the file. */
export const countProblems = async (client: pg.Client, schema: string, rows: number): Promise<readonly string[]> => {
  const problems: string[] = []
  for (const [table, expected] of rowCounts(rows)) {
    const count = await countOf(client, schema, table).catch((error: unknown) => (error as Error).message)
    if (count !== expected) problems.push(`${table}: ${count} instead of ${expected} rows`)
  }
  return problems
}

/** One sentence for each column whose type is another than the raw pipe's. */
export const typeProblems = async (client: pg.Client, schema: string): Promise<readonly string[]> => {
  const { rows } = await client.query<{ column: string; type: string }>(
    `SELECT c.relname || '.' || a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped`,
    [schema],
  )
  const types = new Map(rows.map(({ column, type }) => [column, type]))
  return benchTables.flatMap((table) =>
    table.columns.flatMap(({ name, postgres }) => {
      const type = types.get(`${table.name}.${name}`)
      return type === postgres ? [] : [`${table.name}.${name}: ${type ?? 'missing'} instead of ${postgres}`]
    }),
  )
}

/** A checksum of every value, the same whatever order the rows came in. */
export const contentOf = async (client: pg.Client, schema: string): Promise<string> => {
  const sums: string[] = []
  for (const { name, columns } of benchTables) {
    const list = columns.map((column) => `"${column.name}"`).join(', ')
    const { rows } = await client.query<{ sum: string }>(
      `SELECT sum(hashtextextended(row(${list})::text, 0)) AS sum FROM ${schema}.${name}`,
    )
    sums.push(`${name} ${rows[0]!.sum}`)
  }
  return sums.join('\n')
}

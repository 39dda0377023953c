import { lastWords, runProcess } from '../measuring/run-process.ts'
import { type Arena, type Contender, libpqEnvironment } from './contender.ts'
import { benchTables, pipeSql, postgresConstraints, postgresTable } from './tables.ts'

export interface RawPipePrograms {
  readonly sqlite3: string
  readonly psql: string
}

/** The shell's own pipe: between the two programs there is nothing of ours. A broken left end shows itself in the count of rows. */
const pipeline =
  '"$BENCH_SQLITE3" -readonly -csv "$BENCH_FILE" "$BENCH_SELECT" | "$BENCH_PSQL" -X -q -v ON_ERROR_STOP=1 -c "$BENCH_COPY"'

/** `sqlite3 -csv | psql COPY`, table after table: as fast as it gets without looking at a value. */
export const createRawPipe = ({ file, url, client, signal }: Arena, { sqlite3, psql }: RawPipePrograms): Contender => {
  const base = { ...libpqEnvironment(url), BENCH_SQLITE3: sqlite3, BENCH_PSQL: psql, BENCH_FILE: file }
  const copyRows = async (schema: string): Promise<number> => {
    let copyMs = 0
    for (const table of benchTables) {
      const { select, copy } = pipeSql(schema, table)
      const run = await runProcess('sh', ['-c', pipeline], { env: { ...base, BENCH_SELECT: select, BENCH_COPY: copy }, signal })
      if (run.exitCode !== 0) throw new Error(`the raw pipe failed at ${table.name}:\n${lastWords(run)}`)
      copyMs += run.wallMs
    }
    return copyMs
  }
  return {
    name: 'raw-pipe',
    exact: true,
    copy: async (schema) => {
      await client.query(`CREATE SCHEMA ${schema}`)
      for (const table of benchTables) await client.query(postgresTable(schema, table))
      const copyMs = await copyRows(schema)
      const started = performance.now()
      for (const sql of postgresConstraints(schema)) {
        signal.throwIfAborted()
        await client.query(sql)
      }
      const afterMs = performance.now() - started
      return { copyMs, afterMs, totalMs: copyMs + afterMs }
    },
  }
}

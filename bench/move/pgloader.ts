import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lastWords, runProcess } from '../measuring/run-process.ts'
import { type Arena, type Contender, libpqEnvironment } from './contender.ts'

/** Its documented options; the password comes by the environment. */
const commandFile = (file: string, schema: string, env: NodeJS.ProcessEnv): string => `LOAD DATABASE
  FROM sqlite://${file}
  INTO postgresql://${env['PGUSER']}@${env['PGHOST']}:${env['PGPORT']}/${env['PGDATABASE']}
  WITH create tables, create indexes, foreign keys, reset sequences
  SET search_path TO '${schema}';
`

/** It has been seen to hang. */
const timeoutMs = 15 * 60_000

/** pgloader with its defaults for SQLite. It ends with 0 even where rows are lost, so its rows are counted afterwards. */
export const createPgloader = ({ file, url, client, folder, signal }: Arena, program: string): Contender => ({
  name: 'pgloader',
  exact: false,
  copy: async (schema) => {
    const env = libpqEnvironment(url)
    const commands = join(folder, `${schema}.load`)
    await writeFile(commands, commandFile(file, schema, env))
    await client.query(`CREATE SCHEMA ${schema}`)
    const args = ['--root-dir', join(folder, 'pgloader'), commands]
    const run = await runProcess(program, args, { cwd: folder, env, signal, timeoutMs })
    if (run.exitCode !== 0) throw new Error(`pgloader ended with ${run.exitCode ?? 'a signal'}:\n${lastWords(run)}`)
    return { totalMs: run.wallMs, ...(run.memory && { memory: run.memory }) }
  },
})

import { spawn } from 'node:child_process'
import { exitCodes, reasonOf, TidemarkError } from '../../errors.js'
import { parseConnection } from '../../postgres/postgres.js'
import type { CommandContext } from '../context.js'

/** The connection as libpq reads it from the environment: an argument would show the password to every user of the machine. */
const environmentOf = (url: string): Readonly<Record<string, string>> => {
  const target = parseConnection(url)
  return {
    PGHOST: target.host,
    PGPORT: String(target.port),
    PGDATABASE: target.database,
    PGUSER: target.user,
    PGSSLMODE: target.sslMode,
    PGAPPNAME: 'tidemark/psql',
    ...(target.password !== undefined && { PGPASSWORD: target.password }),
    ...(target.rootCertificate !== undefined && { PGSSLROOTCERT: target.rootCertificate }),
    ...(target.certificate !== undefined && { PGSSLCERT: target.certificate }),
    ...(target.key !== undefined && { PGSSLKEY: target.key }),
    ...(target.options !== undefined && { PGOPTIONS: target.options }),
    ...(target.channelBinding !== 'prefer' && { PGCHANNELBINDING: target.channelBinding }),
  }
}

/** Hands the terminal to psql, and gives its exit code. Ctrl-C is psql's: it cancels a statement and does not end us. */
export const runPsql = (context: CommandContext, program: string, url: string, command: string | undefined): Promise<number> => {
  context.interrupt.release()
  const ignore = (): void => {}
  process.on('SIGINT', ignore)
  const once = command === undefined ? [] : ['--command', command, '--set', 'ON_ERROR_STOP=1']
  const child = spawn(program, ['--no-password', ...once], {
    stdio: 'inherit',
    cwd: context.io.cwd,
    env: { ...context.io.env, ...environmentOf(url) },
  })
  return new Promise<number>((resolve, reject) => {
    child.once('error', (error) => reject(new TidemarkError('TM_INTERNAL', { reason: reasonOf(error) }, { cause: error })))
    child.once('exit', (code, signal) =>
      resolve(signal === null ? (code === 0 ? exitCodes.ok : exitCodes.failed) : exitCodes.interrupted),
    )
  }).finally(() => process.off('SIGINT', ignore))
}

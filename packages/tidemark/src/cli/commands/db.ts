import { exitCodes } from '../../errors.js'
import type { LoginRole } from '../../schema/schema.js'
import { maskSecrets } from '../../secrets.js'
import { findProgram } from '../../server/operations/doctor/doctor-machine.js'
import { commandProject } from '../command-project.js'
import type { Run } from '../context.js'

interface RoleFlag {
  readonly role: LoginRole
}

/** For a pipe the whole string, for eyes one without its password. */
export const dbUrl: Run<RoleFlag & { readonly showKeys?: boolean }> = async (context, _operands, { role, showKeys = false }) => {
  const { terminal, io } = context
  const project = await commandProject(context)
  const url = await project.withDatabase(undefined, async (database) =>
    role === 'migrator' ? database.url : database.urls[role],
  )
  const masked = io.stdout.isTTY === true && !showKeys
  terminal.result({ url, role }, () => (masked ? maskSecrets(url) : url))
  if (masked && !terminal.json) terminal.note('The password shows with --show-keys, and in a pipe.')
  return exitCodes.ok
}

/** psql where it is installed; else the small prompt of our own. The Postgres stays up as long as either runs. */
export const dbPsql: Run<RoleFlag & { readonly command?: string }> = async (context, _operands, { role, command }) => {
  const project = await commandProject(context)
  return project.withDatabase(undefined, async (database) => {
    const url = role === 'migrator' ? database.url : database.urls[role]
    const program = await findProgram('psql', context.io.env['PATH'])
    if (program !== undefined && !context.terminal.json) {
      const { runPsql } = await import('../programs/run-psql.js')
      return runPsql(context, program, url, command)
    }
    const { runSqlPrompt } = await import('../terminal/sql-prompt.js')
    return runSqlPrompt(context, { ...database.target, url, name: 'psql' }, command)
  })
}

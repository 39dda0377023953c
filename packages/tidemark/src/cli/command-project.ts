import type { Logger } from '../observability/observability.js'
import type { Project } from '../server/project/project.js'
import type { CommandContext } from './context.js'

/** The logger of a command that ends: warnings for people, everything with --verbose. */
const commandLogger = async ({ terminal }: CommandContext): Promise<Logger> => {
  const { createLogger } = await import('../observability/log.js')
  return createLogger({
    level: terminal.verbose ? 'debug' : 'warn',
    pretty: true,
    colours: terminal.colors.isColorSupported,
    destination: terminal.stderr,
  })
}

/** The project that a command works on. */
export const commandProject = async (context: CommandContext): Promise<Project> => {
  const [config, log, { openProject }] = await Promise.all([
    context.config(),
    commandLogger(context),
    import('../server/project/project.js'),
  ])
  return openProject({ config, log, cwd: context.io.cwd })
}

import { hideSecrets } from '../../server/operations/status.js'
import type { Run } from '../context.js'
import { statusText } from '../text/status-text.js'
import { serve } from './serve.js'

/** The server for production: JSON log lines and no sample. Its status is printed once it serves, for people or with --json. */
export const start: Run<{ readonly showKeys?: boolean }> = async (context, _operands, { showKeys = false }) => {
  const { defaultLogger } = await import('../../server/logger.js')
  const config = await context.config()
  const log = defaultLogger(config, { pretty: config.log.pretty ?? false })
  return serve(context, log, async (server) => {
    for (const notice of server.notices) log.warn(notice)
    const status = await server.status()
    const shown = showKeys ? status : hideSecrets(status)
    context.terminal.result(status, (colors) => (context.io.stdout.isTTY ? statusText(shown, colors) : ''))
    return undefined
  })
}

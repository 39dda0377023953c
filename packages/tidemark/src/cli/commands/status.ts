import { exitCodes } from '../../errors.js'
import { hideSecrets, type ProjectStatus } from '../../server/operations/status.js'
import { findStatus } from '../../server/project/find-status.js'
import { commandProject } from '../command-project.js'
import type { Run } from '../context.js'
import { statusText } from '../text/status-text.js'

/** JSON is for programs and holds everything; for eyes, secrets are shown only when asked for. */
export const status: Run<{ readonly showKeys?: boolean }> = async (context, _operands, { showKeys = false }) => {
  const found = await findStatus(await commandProject(context))
  const shown: ProjectStatus = showKeys ? found : hideSecrets(found)
  context.terminal.result(found, (colors) => statusText(shown, colors))
  if (!showKeys && !context.terminal.json) context.terminal.note('Keys and passwords show with --show-keys.')
  return exitCodes.ok
}

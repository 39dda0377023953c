import { TidemarkError } from '../../errors.js'
import type { Terminal } from './terminal.js'

/**
 * Asks before something is destroyed: "<action> <consequence>. Go on?" Raises TM_CLI_UNCONFIRMED where nobody can answer,
 * and TM_CLI_INTERRUPTED where the answer is no.
 */
export const confirm = async (terminal: Terminal, yes: boolean, action: string, consequence: string): Promise<void> => {
  if (yes) return
  if (!terminal.interactive || terminal.json) throw new TidemarkError('TM_CLI_UNCONFIRMED', { action })
  const prompts = await import('@clack/prompts')
  const answer = await prompts.confirm({
    message: `${action} ${consequence}. Go on?`,
    initialValue: false,
    output: terminal.stderr,
  })
  if (answer !== true) {
    throw new TidemarkError('TM_CLI_INTERRUPTED', {
      state: 'you said no; nothing was changed.',
      fix: 'Run the command again when you like.',
    })
  }
}

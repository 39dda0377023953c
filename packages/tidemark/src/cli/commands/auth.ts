import { readCodes } from '../../auth/codes/code-file.js'
import { addSigningKey, type KeyKind, type KeyReport, keyKinds, listKeys, rotateKey } from '../../auth/keys/change-keys.js'
import { isCloud } from '../../auth/open-callers.js'
import { isDevelopment } from '../../auth/settings.js'
import { exitCodes, TidemarkError } from '../../errors.js'
import type { Project } from '../../server/project/project.js'
import { formatDuration, parseDuration } from '../../time/durations.js'
import { commandProject } from '../command-project.js'
import type { CommandContext, Run } from '../context.js'
import { confirm } from '../terminal/confirm.js'
import { codesText, keysText } from '../text/auth-text.js'

interface KeyFlags {
  readonly showKeys?: boolean
}

/** The project, where its users are its own. */
const ownProject = async (context: CommandContext): Promise<Project> => {
  const project = await commandProject(context)
  const { url } = project.config.supabase
  if (url !== undefined && isCloud(project.config)) throw new TidemarkError('TM_AUTH_CLOUD', { url })
  return project
}

/** A publishable key is made to be public; a secret one shows when asked for. */
const hide = (keys: readonly KeyReport[], showKeys: boolean): readonly KeyReport[] =>
  keys.map((key) => (key.kind === 'secret' && !showKeys ? { ...key, value: '***' } : key))

const show = ({ terminal }: CommandContext, keys: readonly KeyReport[], showKeys: boolean): void => {
  terminal.result({ keys: hide(keys, showKeys) }, () => keysText(hide(keys, showKeys)))
  if (!showKeys && !terminal.json) terminal.note('Secret keys show with --show-keys, the JWT keys with `tidemark status`.')
}

export const authKeys: Run<KeyFlags> = async (context, _operands, { showKeys = false }) => {
  const { state } = await ownProject(context)
  show(context, await listKeys(state), showKeys)
  return exitCodes.ok
}

const isKeyKind = (kind: string): kind is KeyKind => keyKinds.some((known) => known === kind)

const graceOf = (text: string): number => {
  const graceMs = parseDuration(text)
  if (graceMs !== undefined) return graceMs
  throw new TidemarkError('TM_CLI_USAGE', {
    reason: '--grace is no duration such as 7d, 12h or 0.',
    command: 'tidemark auth keys rotate',
  })
}

const consequenceOf = (kind: KeyKind, graceMs: number): string => {
  const when = graceMs === 0 ? 'at once' : `in ${formatDuration(graceMs)}`
  if (kind === 'jwt-secret')
    return `The anon and the service key are new ones; the old ones, and tokens that the old secret signed, end ${when}.`
  if (kind === 'es256') return `New sessions are signed with the new key; tokens of the old one end ${when}.`
  return `The old ${kind} key ends ${when}.`
}

export const authKeysRotate: Run<KeyFlags & { readonly grace: string }> = async (
  context,
  [kind = ''],
  { grace, showKeys = false },
) => {
  const { terminal, yes, dryRun } = context
  const graceMs = graceOf(grace)
  if (!isKeyKind(kind)) {
    const reason = `There is no kind of keys "${kind}": there are ${keyKinds.join(', ')}.`
    throw new TidemarkError('TM_CLI_USAGE', { reason, command: 'tidemark auth keys rotate' })
  }
  const { config, state } = await ownProject(context)
  if (dryRun) {
    show(context, await listKeys(state), showKeys)
    terminal.note(`Nothing was changed. ${consequenceOf(kind, graceMs)}`)
    return exitCodes.ok
  }
  if (graceMs === 0) await confirm(terminal, yes, `Rotating ${kind} without a grace`, 'ends whatever uses the old one at once')
  show(context, await rotateKey(config, state, kind, { graceMs }), showKeys)
  terminal.note(consequenceOf(kind, graceMs))
  return exitCodes.ok
}

export const authKeysAdd: Run<KeyFlags> = async (context, [kind = ''], { showKeys = false }) => {
  if (kind !== 'es256') {
    const reason = `Only a key of the kind es256 can be added, not "${kind}".`
    throw new TidemarkError('TM_CLI_USAGE', { reason, command: 'tidemark auth keys add' })
  }
  const { state } = await ownProject(context)
  if (context.dryRun) return exitCodes.ok
  show(context, await addSigningKey(state), showKeys)
  context.terminal.note('New sessions are signed with it; the public part is at /auth/v1/.well-known/jwks.json.')
  return exitCodes.ok
}

export const authCodes: Run = async (context, [to]) => {
  const { config, state } = await ownProject(context)
  const codes = (await readCodes(state, new Date())).filter((code) => to === undefined || code.to === to.toLowerCase())
  context.terminal.result({ codes }, () => codesText(codes))
  if (codes.length === 0 && !context.terminal.json) {
    const why =
      isDevelopment(config) && !config.auth.sendCode
        ? 'None is under way.'
        : 'Codes are kept here in development only, where auth.sendCode is not set.'
    context.terminal.note(why)
  }
  return exitCodes.ok
}

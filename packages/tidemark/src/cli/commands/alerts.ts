import { userInfo } from 'node:os'
import { exitCodes, TidemarkError } from '../../errors.js'
import { parseDuration } from '../../time/durations.js'
import { commandProject } from '../command-project.js'
import type { CommandContext, Run } from '../context.js'
import { alertsText, alertText, silencedText } from '../text/alerts-text.js'

const ask = () => import('../../server/ask/ask-alerts.js')

/** Who says it: the flag, else the user of this machine. */
const actorOf = ({ by }: { readonly by?: string }): string => {
  if (by !== undefined && by !== '') return by
  try {
    return userInfo().username
  } catch {
    return 'operator'
  }
}

const nowMs = (): number => Date.now()

/** With --dry-run it is only said what would be done. */
const isDry = ({ dryRun, terminal }: CommandContext, what: string): boolean => {
  if (dryRun) terminal.result({ dryRun: true, what }, () => `Would ${what}.`)
  return dryRun
}

export const alertsList: Run<{ readonly status?: string }> = async (context, _operands, { status }) => {
  const report = await (await ask()).askAlerts(await commandProject(context), status)
  context.terminal.result(report, () => alertsText(report, nowMs()))
  return exitCodes.ok
}

export const alertsAck: Run<{ readonly by?: string }> = async (context, [id = ''], flags) => {
  if (isDry(context, `acknowledge ${id}`)) return exitCodes.ok
  const alert = await (await ask()).askAck(await commandProject(context), id, actorOf(flags))
  context.terminal.result(alert, () => alertText(alert))
  return exitCodes.ok
}

export const alertsResolve: Run<{ readonly by?: string }> = async (context, [id = ''], flags) => {
  if (isDry(context, `end ${id}`)) return exitCodes.ok
  const alert = await (await ask()).askResolve(await commandProject(context), id, actorOf(flags))
  context.terminal.result(alert, () => alertText(alert))
  return exitCodes.ok
}

const mostMs = 365 * 86_400_000

interface SilenceFlags {
  readonly for?: string
  readonly comment?: string
  readonly by?: string
  readonly end?: string
}

export const alertsSilence: Run<SilenceFlags> = async (context, operands, flags) => {
  const matchers = operands.filter((operand) => operand !== undefined)
  const author = actorOf(flags)
  if (flags.end !== undefined) {
    if (isDry(context, `end the silence ${flags.end}`)) return exitCodes.ok
    const ended = await (await ask()).askUnsilence(await commandProject(context), flags.end, author)
    context.terminal.result(ended, () => `The silence ${ended.id} is over.`)
    return exitCodes.ok
  }
  const forMs = parseDuration(flags.for ?? '1h')
  const command = 'tidemark alerts silence'
  if (forMs === undefined || forMs < 1000 || forMs > mostMs) {
    const reason = `--for is "${flags.for}", which is no duration such as 30m or 2d, from a second to a year.`
    throw new TidemarkError('TM_CLI_USAGE', { reason, command })
  }
  if (matchers.length === 0)
    throw new TidemarkError('TM_CLI_USAGE', { reason: 'Say what to silence, such as alert_type=disk.', command })
  if (isDry(context, `silence ${matchers.join(' ')}`)) return exitCodes.ok
  const request = { matchers, author, comment: flags.comment ?? '', forMs: Math.round(forMs) }
  const silence = await (await ask()).askSilence(await commandProject(context), request)
  context.terminal.result(silence, () => silencedText(silence, nowMs()))
  return exitCodes.ok
}

export const alertsTest: Run = async (context, [channel = '']) => {
  if (isDry(context, `send a test by ${channel}`)) return exitCodes.ok
  const report = await (await ask()).askTest(await commandProject(context), channel)
  context.terminal.result(report, () => `${report.channel} took it in ${report.tookMs} ms.`)
  return exitCodes.ok
}

import { exitCodes, TidemarkError } from '../../errors.js'
import type { BreakersRequest } from '../../server/operations/breakers.js'
import { parseDuration } from '../../time/durations.js'
import { commandProject } from '../command-project.js'
import type { Run } from '../context.js'
import { breakersText } from '../text/breakers-text.js'

const ask = () => import('../../server/ask/ask-breakers.js')

export const breakersList: Run = async (context) => {
  const report = await (await ask()).askBreakers(await commandProject(context))
  context.terminal.result(report, () => breakersText(report))
  return exitCodes.ok
}

interface OperateFlags {
  readonly reason?: string
  readonly for?: string
}

const forMsOf = (text: string | undefined, act: string): number | undefined => {
  if (text === undefined) return undefined
  const ms = parseDuration(text)
  if (ms !== undefined && ms >= 1) return Math.round(ms)
  const reason = `--for is "${text}", which is no duration such as 30s, 10m or 2h.`
  throw new TidemarkError('TM_CLI_USAGE', { reason, command: `tidemark breakers ${act}` })
}

const operate =
  (act: BreakersRequest['act']): Run<OperateFlags> =>
  async (context, [service = ''], { reason = `by the command line`, for: time }) => {
    const forMs = forMsOf(time, act)
    const { terminal, dryRun } = context
    const request = { service, act, reason, ...(forMs !== undefined && { forMs }), ...(dryRun && { dryRun }) }
    const report = await (await ask()).askBreakersOperate(await commandProject(context), request)
    terminal.result(report, () => breakersText(report))
    return exitCodes.ok
  }

export const breakersOpen = operate('open')
export const breakersClose = operate('close')
export const breakersReset = operate('reset')

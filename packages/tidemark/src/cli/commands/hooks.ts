import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { exitCodes, reasonOf, TidemarkError } from '../../errors.js'
import type { ListRequest, ReplayReport, ReplayRequest } from '../../server/operations/hooks.js'
import type { Project } from '../../server/project/project.js'
import { systemClock } from '../../time/clock.js'
import { parseDuration } from '../../time/durations.js'
import { commandProject } from '../command-project.js'
import type { CommandContext, Run } from '../context.js'
import { listText, replayStateText, replaysText, replayText, sendText, showText } from '../text/hooks-text.js'

const ask = () => import('../../server/ask/ask-hooks.js')
const operations = () => import('../../server/operations/hooks.js')

export interface SelectionFlags {
  readonly provider?: string
  readonly type?: string
  readonly status?: readonly string[]
  readonly reason?: string
  readonly entity?: string
  readonly since?: string
  readonly until?: string
}

const usage = (command: string, reason: string) =>
  new TidemarkError('TM_CLI_USAGE', { reason, command: `tidemark hooks ${command}` })

const readBody = (cwd: string, file: string, command: string): Promise<Buffer> =>
  readFile(resolve(cwd, file)).catch((error: unknown) => {
    throw usage(command, `${file} cannot be read: ${reasonOf(error)}.`)
  })

/** `2h` is two hours ago; anything else is a time. */
const instantOf = (text: string, command: string): string => {
  const agoMs = /[a-z]$/.test(text) ? parseDuration(text) : undefined
  const at = agoMs === undefined ? Date.parse(text) : systemClock.now() - agoMs
  if (Number.isNaN(at)) throw usage(command, `"${text}" is neither a time (2026-01-31T12:00:00Z) nor how long ago (2h).`)
  return new Date(at).toISOString()
}

const selectionOf = (flags: SelectionFlags, command: string): Readonly<Record<string, unknown>> => ({
  ...(flags.provider !== undefined && { provider: flags.provider }),
  ...(flags.type !== undefined && { type: flags.type }),
  ...(flags.status !== undefined && { status: flags.status }),
  ...(flags.reason !== undefined && { reason: flags.reason }),
  ...(flags.entity !== undefined && { entity: flags.entity }),
  ...(flags.since !== undefined && { since: instantOf(flags.since, command) }),
  ...(flags.until !== undefined && { until: instantOf(flags.until, command) }),
})

interface Schema<T> {
  safeParse(
    value: unknown,
  ): { success: true; data: T } | { success: false; error: { issues: { path: PropertyKey[]; message: string }[] } }
}

const checked = <T>(schema: Schema<T>, value: unknown, command: string): T => {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw usage(command, `${parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}.`)
}

const list = async (context: CommandContext, given: object, command: string): Promise<number> => {
  const request: ListRequest = checked((await operations()).listRequest as Schema<ListRequest>, given, command)
  const report = await (await ask()).askHooksList(await commandProject(context), request)
  context.terminal.result(report, () => listText(report))
  return exitCodes.ok
}

export const hooksList: Run<SelectionFlags & { readonly limit?: number }> = (context, _operands, { limit, ...flags }) =>
  list(context, { ...selectionOf(flags, 'list'), ...(limit !== undefined && { limit }) }, 'list')

/** What waits for somebody. */
export const hooksDlq: Run<SelectionFlags & { readonly limit?: number }> = (context, _operands, { limit, ...flags }) =>
  list(context, { ...selectionOf(flags, 'dlq'), status: ['dead'], ...(limit !== undefined && { limit }) }, 'dlq')

export const hooksShow: Run = async (context, [id = '']) => {
  const event = await (await ask()).askHooksShow(await commandProject(context), id)
  context.terminal.result(event, (colors) => showText(event, colors))
  return exitCodes.ok
}

const pollMs = 500

/** Until it is over, or for as long as somebody looks: workers go on with it by themselves. */
const watch = async ({ terminal, interrupt }: CommandContext, project: Project, id: string): Promise<ReplayReport['replay']> => {
  let told = ''
  for (;;) {
    const state = await (await ask()).askReplayState(project, id)
    if (state?.status !== 'running') return state ? { ...state, again: false } : undefined
    const text = replayStateText(state)
    if (text !== told) terminal.note(text)
    told = text
    await systemClock.sleep(pollMs, interrupt.signal)
  }
}

interface ReplayFlags extends SelectionFlags {
  readonly all?: boolean
  readonly wait?: boolean
  /** A file with the body that one event is sent through with. */
  readonly body?: string
}

const bodyOf = async ({ io }: CommandContext, file: string): Promise<string> => {
  const bytes = await readBody(io.cwd, file, 'replay')
  const text = bytes.toString('utf8')
  if (!Buffer.from(text).equals(bytes)) throw usage('replay', `${file} is no text in UTF-8.`)
  return text
}

export const hooksReplay: Run<ReplayFlags> = async (context, operands, { all, wait, body, ...flags }) => {
  const { terminal } = context
  const ids = operands.filter((id) => id !== undefined)
  const wanted = { ...selectionOf(flags, 'replay'), ...(ids.length > 0 && { ids }) }
  if (Object.keys(wanted).length === 0 && all !== true)
    throw usage('replay', 'Say which: ids, a filter such as --provider, or --all for every dead letter.')
  const payload = body === undefined ? {} : { payload: await bodyOf(context, body) }
  const given = { ...wanted, ...payload, dryRun: context.dryRun, actor: userInfo().username }
  const request: ReplayRequest = checked((await operations()).replayRequest as Schema<ReplayRequest>, given, 'replay')
  const project = await commandProject(context)
  const report = await (await ask()).askHooksReplay(project, request)
  const { replay } = report
  if (wait !== true || !replay || replay.status !== 'running') {
    terminal.result(report, (colors) => replayText(report, colors))
    return exitCodes.ok
  }
  const ended = (await watch(context, project, replay.id)) ?? replay
  terminal.result({ ...report, replay: ended }, () => replayStateText(ended))
  return ended.status === 'done' ? exitCodes.ok : exitCodes.failed
}

export const hooksReplays: Run = async (context) => {
  const report = await (await ask()).askHooksReplays(await commandProject(context))
  context.terminal.result(report, () => replaysText(report.replays))
  return exitCodes.ok
}

const headersOf = (given: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    given.map((line) => {
      const [, name, value] = /^([^:\s]+):\s*(.+)$/.exec(line) ?? []
      if (name === undefined || value === undefined) throw usage('send', 'A header is "name: value".')
      return [name.toLowerCase(), value]
    }),
  )

export const hooksSend: Run<{ readonly header?: readonly string[] }> = async (
  context,
  [provider = '', file = ''],
  { header = [] },
) => {
  const headers = headersOf(header)
  const body = await readBody(context.io.cwd, file, 'send')
  const { hooksSend: send } = await import('../../server/operations/hooks-send.js')
  const report = await send(await commandProject(context), { provider, body, headers })
  context.terminal.result(report, () => sendText(report))
  return report.status < 300 ? exitCodes.ok : exitCodes.failed
}

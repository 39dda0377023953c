import { once } from 'node:events'
import { exitCodes, TidemarkError } from '../../errors.js'
import { openRedis } from '../../server/open-redis.js'
import * as operations from '../../server/operations/feed.js'
import type { Told } from '../../server/operations/feed-tail.js'
import { commandProject } from '../command-project.js'
import type { CommandContext, Run } from '../context.js'
import { renderFailure } from '../failure.js'
import { confirm } from '../terminal/confirm.js'
import { lagText, slotsText, toldText } from '../text/feed-text.js'

interface TailFlags {
  readonly tables?: readonly string[]
  readonly from?: string
}

/** Lines, as fast as whoever reads them takes them. */
const printer = ({ io, terminal }: CommandContext) => {
  const lineOf = (told: Told): string => (terminal.json ? JSON.stringify(told) : toldText(told, terminal.colors))
  return async (told: Told): Promise<void> => {
    if (!io.stdout.write(`${lineOf(told)}\n`)) await once(io.stdout, 'drain')
  }
}

const withSchema = (name: string): string => (name.includes('.') ? name : `public.${name}`)

/** Ends with Ctrl-C, which is its ordinary end. */
export const feedTail: Run<TailFlags> = async (context, _operands, { tables, from }) => {
  const { terminal, interrupt } = context
  const [project, { feedTail: follow, tailRequest }] = await Promise.all([
    commandProject(context),
    import('../../server/operations/feed-tail.js'),
  ])
  const wanted = tailRequest.safeParse({
    ...(tables && { tables: tables.map(withSchema) }),
    ...(from !== undefined && { from }),
  })
  if (!wanted.success) {
    const reason = wanted.error.issues.map(({ path, message }) => `--${String(path[0])}: ${message}`).join('; ')
    throw new TidemarkError('TM_CLI_USAGE', { reason: `${reason}.`, command: 'tidemark feed tail' })
  }
  const { config, state, log } = project
  // Held for as long as the tail runs: another command may be the one that started it.
  const redis = await openRedis({ config, state, log })
  try {
    terminal.note('Changes as they come; Ctrl-C ends this.')
    await follow(project, wanted.data, { signal: interrupt.signal, onTold: printer(context), redis })
    return exitCodes.ok
  } catch (error) {
    if (interrupt.signal.aborted) return exitCodes.ok
    throw error
  } finally {
    await redis.stop()
  }
}

/** Of what is left before a slot is given up, this part counts as soon. */
const soonRatio = 0.1

const endangered = ({ slots }: operations.LagReport): operations.SlotReport | undefined =>
  slots.find(
    ({ state, behindBytes, headroomBytes }) =>
      state === 'lost' || (headroomBytes !== null && headroomBytes < soonRatio * (headroomBytes + behindBytes)),
  )

export const feedLag: Run = async (context) => {
  const { terminal } = context
  const { askFeedLag } = await import('../../server/ask/ask-feed-lag.js')
  const report = await askFeedLag(await commandProject(context))
  terminal.result(report, () => lagText(report))
  const slot = endangered(report)
  if (!slot) return exitCodes.ok
  const reason = slot.lost ?? `${slot.headroomBytes} bytes are left before Postgres gives it up`
  const failure = new TidemarkError('TM_FEED_SLOT_ENDANGERED', { slot: slot.name, reason })
  terminal.stderr.write(`${renderFailure(failure, terminal.colors, terminal.verbose)}\n`)
  return failure.exitCode
}

export const feedSlots: Run<{ readonly drop?: string }> = async (context, _operands, { drop }) => {
  const { terminal, yes, dryRun } = context
  const project = await commandProject(context)
  if (drop === undefined || dryRun) {
    const report = await operations.feedSlots(project)
    terminal.result(drop === undefined ? report : { ...report, dryRun }, () => slotsText(report.slots))
    return exitCodes.ok
  }
  await confirm(terminal, yes, `Removing the slot ${drop}`, 'loses what only it held back; who followed it has to begin anew')
  const dropped = await operations.feedDropSlot(project, drop)
  terminal.result(dropped, (colors) => `${colors.green('✓')} removed ${drop}`)
  return exitCodes.ok
}

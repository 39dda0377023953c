import { exitCodes, TidemarkError } from '../../errors.js'
import type { EvictRequest } from '../../server/operations/cache.js'
import { commandProject } from '../command-project.js'
import type { Run } from '../context.js'
import { evictText, keyText, statsText } from '../text/cache-text.js'

const ask = () => import('../../server/ask/ask-cache.js')

export const cacheStats: Run = async (context) => {
  const { terminal } = context
  const report = await (await ask()).askCacheStats(await commandProject(context))
  terminal.result(report, () => statsText(report))
  if (report.nodes.some(({ entries }) => Object.values(entries).some(({ staleFound }) => staleFound > 0)))
    terminal.warn('Values were found that are not as Postgres has them; the log of that node names the keys.')
  return exitCodes.ok
}

export const cacheGet: Run = async (context, [key = '']) => {
  const report = await (await ask()).askCacheKey(await commandProject(context), key)
  context.terminal.result(report, (colors) => keyText(report, colors))
  return exitCodes.ok
}

interface EvictFlags {
  readonly tag?: string
  readonly table?: string
  readonly entry?: string
  readonly all?: boolean
}

const requestOf = (key: string | undefined, { tag, table, entry, all }: EvictFlags, dryRun: boolean): EvictRequest => {
  const given = {
    ...(key !== undefined && { key }),
    ...(tag !== undefined && { tag }),
    ...(table !== undefined && { table }),
    ...(entry !== undefined && { entry }),
    ...(all === true && { all }),
  }
  if (Object.keys(given).length !== 1) {
    const reason = 'Say what to evict: a key, or one of --tag, --table, --entry and --all.'
    throw new TidemarkError('TM_CLI_USAGE', { reason, command: 'tidemark cache evict' })
  }
  return { ...given, ...(dryRun && { dryRun }) }
}

export const cacheEvict: Run<EvictFlags> = async (context, [key], flags) => {
  const request = requestOf(key, flags, context.dryRun)
  const report = await (await ask()).askCacheEvict(await commandProject(context), request)
  context.terminal.result(report, (colors) => evictText(report, colors))
  return exitCodes.ok
}

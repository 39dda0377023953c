/** Each node leaves its report in Redis, so that any of them, and the command line, can show all. */
import type { Redis } from '../../redis/redis.js'
import type { Clock } from '../../time/clock.js'
import type { NodeReport } from './cache-report.js'

/** A node that has said nothing for so long is gone. */
const reportTtlMs = 30_000
const nodesTtlMs = 3_600_000
const reportEveryMs = 10_000

const nodesKey = (prefix: string): string => `${prefix}tidemark:cache:nodes`
const nodeKey = (prefix: string, node: string): string => `${prefix}tidemark:cache:node:${node}`

/** Raises TM_REDIS_*. */
const publishReport = async (redis: Redis, prefix: string, report: NodeReport): Promise<void> => {
  const [key, nodes] = [nodeKey(prefix, report.node), nodesKey(prefix)]
  await redis.pipeline([
    ['HSET', key, 'report', JSON.stringify(report)],
    ['PEXPIRE', key, reportTtlMs],
    ['SADD', nodes, report.node],
    ['PEXPIRE', nodes, nodesTtlMs],
  ])
}

const forget = async (redis: Redis, prefix: string, nodes: readonly string[]): Promise<void> => {
  await redis.pipeline(
    nodes.flatMap((node) => [['DEL', nodeKey(prefix, node)] as const, ['SREM', nodesKey(prefix), node] as const]),
  )
}

/** Of all nodes that are there, with how long ago each was written. Raises TM_REDIS_*. */
export const readReports = async (redis: Redis, prefix: string): Promise<readonly NodeReport[]> => {
  const nodes = await redis.command<string[]>(['SMEMBERS', nodesKey(prefix)])
  if (nodes.length === 0) return []
  const results = await redis.pipeline(nodes.map((node) => ['HGET', nodeKey(prefix, node), 'report'] as const))
  const reports: NodeReport[] = []
  const gone: string[] = []
  for (const [i, result] of results.entries()) {
    if (!result.ok) continue
    if (typeof result.value === 'string') reports.push(JSON.parse(result.value) as NodeReport)
    else gone.push(nodes[i]!)
  }
  if (gone.length > 0) await forget(redis, prefix, gone).catch(() => undefined)
  return reports
}

export interface ReportingOptions {
  readonly redis: Redis
  readonly prefix: string
  readonly clock: Clock
  readonly report: () => NodeReport
}

/** Publishes until it is stopped. That Redis is away is no matter: the next report comes soon. */
export const startReporting = ({ redis, prefix, clock, report }: ReportingOptions): { stop(): Promise<void> } => {
  const stopping = new AbortController()
  const running = (async () => {
    while (!stopping.signal.aborted) {
      if (redis.state === 'up') await publishReport(redis, prefix, report()).catch(() => undefined)
      await clock.sleep(reportEveryMs, stopping.signal).catch(() => undefined)
    }
  })()
  return {
    stop: async () => {
      stopping.abort()
      await running
      if (redis.state === 'up') await forget(redis, prefix, [report().node]).catch(() => undefined)
    },
  }
}

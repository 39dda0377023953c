import type { EvictReport, HeldValue, KeyReport, StatsReport } from '../../server/operations/cache.js'
import { formatDuration } from '../../time/durations.js'
import type { Colors } from '../terminal/terminal.js'
import { bytesText } from './feed-text.js'
import { table } from './table.js'

const rateText = (rate: number | null): string => (rate === null ? '-' : `${(rate * 100).toFixed(1)} %`)

const ageText = (ms: number | null): string => (ms === null ? '-' : formatDuration(ms))

const headings = ['entry', 'node', 'hit rate', 'memory', 'redis', 'loads', 'refused', 'evicted', 'keys', 'size', 'age', 'stale']

/** One line for each entry and node. */
export const statsText = ({ scope, nodes }: StatsReport): string => {
  if (nodes.length === 0) return scope === 'nothing' ? 'No server runs here, and no Redis answers.' : 'No node has a cache.'
  const rows = nodes.flatMap(({ host, pid, entries }) =>
    Object.entries(entries).map(([name, entry]) => [
      name,
      `${host}:${pid}`,
      rateText(entry.hitRate),
      entry.memory,
      entry.redis,
      entry.loads,
      entry.refused,
      entry.evictions,
      entry.keys,
      bytesText(entry.bytes),
      ageText(entry.ageMedianMs),
      entry.staleFound,
    ]),
  )
  const silent = nodes.filter(({ freshnessMs }) => freshnessMs === null)
  return [
    table(
      headings,
      rows.sort(([a], [b]) => String(a).localeCompare(String(b))),
    ),
    ...silent.map(({ host, pid }) => `${host}:${pid} is not proven fresh: it asks Postgres.`),
    ...(scope === 'this server only' ? ['This server only: without Redis nodes know nothing of each other.'] : []),
  ].join('\n')
}

const longestValue = 4000

const valueText = ({ value, problem }: HeldValue): string => {
  if (problem !== null) return `It cannot be shown: ${problem}.`
  const text = JSON.stringify(value, null, 2)
  return text.length > longestValue ? `${text.slice(0, longestValue)}… (${text.length} characters; --json shows all)` : text
}

const heldText = (held: HeldValue): readonly string[] => [
  `In Redis: ${bytesText(held.bytes)}, ${formatDuration(held.ageMs)} old, ${
    held.freshForMs > 0 ? `fresh for ${formatDuration(held.freshForMs)}` : 'no longer fresh'
  }, ${held.encrypted ? 'encrypted' : 'not encrypted'}, as of ${held.asOf}.`,
  ...(held.isCurrent === false ? ['It is of another epoch: nobody answers with it.'] : []),
  ...(held.tags !== null && held.tags.length > 0 ? [`Tags: ${held.tags.join(', ')}`] : []),
]

export const keyText = ({ key, entry, redis, held, memory }: KeyReport, { bold }: Colors): string => {
  const absent = redis === 'up' ? 'Redis does not have it.' : `Redis is ${redis}.`
  return [
    `${bold(key)}${entry === null ? '' : ` (${entry})`}`,
    ...(held ? heldText(held) : [absent]),
    ...(memory ? [`In memory of the server: ${bytesText(memory.bytes)}, ${formatDuration(memory.ageMs)} old.`] : []),
    ...(held ? [valueText(held)] : []),
  ].join('\n')
}

const whatText = ({ kind, name }: EvictReport): string => {
  if (kind === 'all') return 'everything'
  return kind === 'key' ? name : kind === 'tag' ? `what carries the tag ${name}` : `what belongs to the ${kind} ${name}`
}

export const evictText = (report: EvictReport, { green }: Colors): string => {
  const { dryRun, entries, nodes } = report
  const concerned = entries.length > 0 ? entries.join(', ') : 'no entry of the configuration'
  const hearing = nodes === null ? '' : nodes === 1 ? '; 1 node hears of it' : `; ${nodes} nodes hear of it`
  const done = dryRun ? 'would evict' : `${green('✓')} evicted`
  return `${done} ${whatText(report)} (${concerned}${hearing})`
}

import type { NodeFollower } from '../../server/feed/feed.js'
import type { LagReport, SlotReport } from '../../server/operations/feed.js'
import type { OutboxReport } from '../../server/operations/feed-outbox.js'
import type { Told } from '../../server/operations/feed-tail.js'
import { formatDuration } from '../../time/durations.js'
import type { Colors } from '../terminal/terminal.js'
import { table } from './table.js'

const longestValue = 60
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** Bytes as a person reads them: `12 B`, `3.4 MiB`. */
export const bytesText = (bytes: number): string => {
  let size = bytes
  let unit = 0
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024
    unit += 1
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`
}

const valueText = (value: string | null): string => {
  if (value === null) return 'null'
  const short = value.length > longestValue ? `${value.slice(0, longestValue)}…` : value
  return /^[\w.:+/@%-]+$/.test(short) ? short : JSON.stringify(short)
}

const rowText = (row: Readonly<Record<string, string | null>> | null): string =>
  Object.entries(row ?? {})
    .map(([name, value]) => `${name}=${valueText(value)}`)
    .join(' ')

const timeOf = (iso: string): string => iso.slice(11, 23)

/** One change on one line. */
export const toldText = (told: Told, colors: Colors): string => {
  if (told.type === 'reset') return colors.yellow(`-- from here on: ${told.position} (${told.reason})`)
  const { kind, committedAt, table: name } = told
  const paint = kind === 'insert' ? colors.green : kind === 'update' ? colors.cyan : colors.red
  const old = told.kind === 'update' && told.old ? ` ${colors.dim(`was ${rowText(told.old)}`)}` : ''
  return `${colors.dim(timeOf(committedAt))} ${paint(kind.padEnd(8))} ${name} ${rowText(told.new ?? told.old)}${old}`.trimEnd()
}

export const slotsText = (slots: readonly SlotReport[]): string =>
  slots.length === 0
    ? 'The feed has no slots in this database.'
    : table(
        ['slot', 'state', 'kept', 'left', 'wal'],
        slots.map(({ name, state, temporary, behindBytes, headroomBytes, walStatus, lost }) => [
          name,
          temporary ? `${state}, temporary` : state,
          bytesText(behindBytes),
          headroomBytes === null ? 'no bound' : bytesText(headroomBytes),
          lost ?? walStatus ?? '',
        ]),
      )

/** At one piece for so long, a follower is worth a line. */
const longWorkMs = 5_000

const followerLines = ({ name, state, queuedBytes, workingMs, failures, lastError }: NodeFollower): readonly string[] => {
  const queued = `${bytesText(queuedBytes)} wait for it`
  const at = `at one piece for ${formatDuration(workingMs)}`
  const failing = lastError === null ? '' : `, failed ${failures} times: ${lastError}`
  if (state === 'holding') return [`The feed waits for ${name}: its queue is full (${queued}), ${at}${failing}.`]
  if (state === 'failing') return [`${name} fails (${queued})${failing}.`]
  return workingMs < longWorkMs ? [] : [`${name} is ${at} (${queued}).`]
}

/** What the outbox is on, and what it holds for whom. */
export const outboxText = ({ tables, rows, bytes, readers }: OutboxReport): string => {
  const count = (number: number) => number.toLocaleString('en-US')
  const held = `It holds ${count(rows)} rows (${bytesText(bytes)})`
  return [
    tables.length === 0 ? 'The outbox is on no table.' : `The outbox is on ${tables.join(', ')}.`,
    readers.length > 0 || rows === 0 ? `${held}.` : `${held} that nobody reads: \`tidemark feed outbox prune\` removes them.`,
    ...readers.map(({ name, rows: waiting, seenAt }) => `${name}: ${count(waiting)} rows wait for it, last seen ${seenAt}.`),
  ].join('\n')
}

const nodeText = ({ node }: LagReport): string => {
  if (!node) return 'No server runs here.'
  if (node.role === 'idle') return 'The server follows nothing (feed.tables is empty).'
  const fresh = node.freshnessMs === null ? 'not proven fresh yet' : `fresh as of ${formatDuration(node.freshnessMs)} ago`
  return [
    `This server: ${node.role}, ${fresh}.`,
    ...(node.problem === null ? [] : [node.problem]),
    ...node.followers.flatMap(followerLines),
  ].join('\n')
}

const streamText = ({ stream }: LagReport): string =>
  stream === null
    ? 'Redis holds no stream of it.'
    : `Redis: ${stream.entries.toLocaleString('en-US')} entries in ${stream.name}${stream.beating ? '' : ', and nobody publishes'}.`

export const lagText = (report: LagReport): string => {
  const { slots, outbox, followers } = report
  const rows = outbox.map(({ reader, rows: count }) => `Outbox: ${count.toLocaleString('en-US')} rows wait for ${reader}.`)
  const durable = followers.map(({ name, position, updatedAt }) => [name, position, updatedAt])
  return [
    nodeText(report),
    streamText(report),
    ...rows,
    slotsText(slots),
    ...(durable.length === 0 ? [] : [table(['follower', 'stored', 'at'], durable)]),
  ].join('\n')
}

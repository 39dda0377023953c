import type { ListReport, ReplayReport } from '../../server/operations/hooks.js'
import type { SendReport } from '../../server/operations/hooks-send.js'
import type { ReplayView } from '../../webhooks/replay/replays.js'
import type { EventDetail, EventView } from '../../webhooks/replay/stored-events.js'
import type { AttemptLine } from '../../webhooks/workers/runs/attempt-log.js'
import type { Colors } from '../terminal/terminal.js'
import { table } from './table.js'

const longestError = 60

const statusText = ({ status, reason, attempts, nextAttemptAt }: EventView): string => {
  if (status === 'dead') return `dead (${reason})`
  if (status === 'failed') return `failed ${attempts}×${nextAttemptAt === null ? '' : `, again at ${nextAttemptAt}`}`
  return status
}

const shortened = (text: string | null): string =>
  text === null ? '' : text.length > longestError ? `${text.slice(0, longestError)}…` : text

const headings = ['id', 'received', 'provider', 'type', 'about', 'status', 'error']

const eventsTable = (events: readonly EventView[]): string =>
  table(
    headings,
    events.map((event) => [
      event.id,
      event.receivedAt,
      event.provider,
      event.type,
      event.entity ?? '',
      statusText(event),
      shortened(event.error),
    ]),
  )

export const listText = ({ counts, events }: ListReport): string => {
  const whole = counts.map(({ status, reason, events: n }) => `${n} ${status}${reason === null ? '' : ` (${reason})`}`)
  if (whole.length === 0) return 'No events have come.'
  const rest = events.length === 0 ? ['None of them is like that.'] : [eventsTable(events)]
  return [`Events: ${whole.join(', ')}.`, ...rest].join('\n')
}

const outcomeText = ({ outcome, deadReason, nextAt }: AttemptLine): string => {
  if (outcome === 'processed') return 'processed'
  if (outcome === 'worker_ended') return 'its worker ended; not counted'
  const what = outcome === 'breaker_open' ? 'skipped: a circuit breaker is open' : 'failed'
  return deadReason !== null ? `${what}; dead (${deadReason})` : `${what}; next was due ${nextAt}`
}

const saidText = ({ code, message }: AttemptLine): string =>
  shortened([code, message?.split('\n')[0]].filter((part) => part !== null && part !== undefined).join(': '))

/** Stacks are in `--json`. */
const attemptsText = ({ attemptLog, attemptsLeftOut }: EventDetail): readonly string[] => {
  if (attemptLog.length === 0) return []
  const rows = attemptLog.map((line) => [
    String(line.attempt),
    line.replayId === null ? '' : line.replayId.slice(0, 8),
    line.beganAt ?? line.at,
    line.durationMs === null ? '' : `${line.durationMs} ms`,
    line.worker ?? '',
    outcomeText(line),
    saidText(line),
  ])
  const leftOut = attemptsLeftOut === 0 ? [] : [`${attemptsLeftOut} attempts before these were left out.`]
  return [...leftOut, table(['attempt', 'replay', 'began', 'took', 'worker', 'outcome', 'error'], rows)]
}

export const showText = (event: EventDetail, { bold }: Colors): string =>
  [
    `${bold(event.id)} ${event.type} of ${event.provider}${event.tenant === '' ? '' : ` (${event.tenant})`}`,
    `${statusText(event)}; received ${event.receivedAt}${event.processedAt === null ? '' : `, processed ${event.processedAt}`}`,
    `about ${event.entity ?? 'nothing that has a name'}; lane ${event.lane}; partition ${event.partition}`,
    `${event.verified ? 'signed' : 'not signed'}, told as a ${event.trust}; attempts ${event.attempts}`,
    ...(event.replayId === null ? [] : [`sent again by replay ${event.replayId}`]),
    ...(event.edited ? [`its last run was with a body that ${event.edits[0]?.actor ?? 'an operator'} wrote`] : []),
    ...attemptsText(event),
    ...(event.error === null ? [] : [event.error]),
    ...Object.entries(event.headers).map(([name, value]) => `${name}: ${value}`),
    event.raw,
  ].join('\n')

const eventsText = (count: number): string => (count === 1 ? '1 event' : `${count} events`)

export const replayText = ({ dryRun, selected, replay }: ReplayReport, { green }: Colors): string => {
  if (dryRun) return `would send ${eventsText(selected)} through again`
  if (!replay) return ''
  if (selected === 0) return 'No event is like that.'
  if (replay.again) return `The same is on its way already: replay ${replay.id}, ${replay.sent} of ${replay.selected} sent.`
  return `${green('✓')} replay ${replay.id} of ${eventsText(selected)}`
}

export const replayStateText = ({ id, status, sent, selected }: ReplayView): string =>
  `replay ${id}: ${sent} of ${selected} sent, ${status}`

export const replaysText = (replays: readonly ReplayView[]): string =>
  replays.length === 0
    ? 'Nothing was ever sent again.'
    : table(
        ['id', 'begun', 'by', 'what', 'selected', 'sent', 'status'],
        replays.map(({ id, createdAt, actor, selection, selected, sent, status }) => [
          id,
          createdAt,
          actor,
          JSON.stringify(selection),
          selected,
          sent,
          status,
        ]),
      )

export const sendText = ({ url, status, answer, ms }: SendReport): string =>
  `${url} answered ${status} after ${ms} ms: ${typeof answer === 'string' ? answer : JSON.stringify(answer)}`

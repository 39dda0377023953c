import { X } from 'lucide-react'
import { useState } from 'react'
import type { JobView, MoveEvent, SwitchReport } from 'tidemark/admin'
import { AskError } from '../../api/ask.ts'
import { useMay } from '../../api/session.ts'
import { useAction } from '../../api/use-answer.ts'
import { type ServerEvent, useEvents } from '../../api/use-events.ts'
import { duration, timeOfDay } from '../../format/format.ts'
import { Button } from '../../parts/button.tsx'
import { ErrorNote } from '../../parts/error-note.tsx'
import { Note } from '../../parts/note.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { Status, type StatusKind } from '../../parts/status.tsx'
import { stateWord } from './move-words.ts'

const kinds: Readonly<Record<string, string>> = {
  'move.plan': 'Making the plan',
  'move.follow': 'Copying and following',
  'move.cutover': 'Cutting over',
  'move.rollback': 'Rolling back',
  'move.finish': 'Finishing',
  'move.abort': 'Aborting',
  'move.verify': 'Verifying',
}

const states: Readonly<Record<JobView['state'], readonly [StatusKind, string]>> = {
  running: ['busy', 'under way'],
  succeeded: ['ok', 'done'],
  failed: ['bad', 'failed'],
  cancelled: ['idle', 'stopped'],
}

/** One line of what a job tells, where it is worth one; progress has its own place. */
export const lineOf = ({ type, data }: Pick<ServerEvent, 'type' | 'data'>): string | undefined => {
  const event = { type, ...(data as object) } as MoveEvent
  switch (event.type) {
    case 'phase':
      return `Phase: ${event.phase}`
    case 'step':
      return event.state === 'finished' ? `${event.step}: ${duration(event.elapsedMs)}` : undefined
    case 'state':
      return `${stateWord(event.from)} → ${stateWord(event.to)}`
    case 'notice':
      return event.message
    case 'object':
      return event.state === 'failed' ? `${event.kind} ${event.name} was not made: ${event.reason}` : undefined
    case 'reject':
      return `${event.reject.table} ${event.reject.key}: ${event.reject.reason}`
    default:
      return undefined
  }
}

const maxLines = 200
const types = ['phase', 'step', 'state', 'notice', 'object', 'reject', 'end']

interface Line {
  readonly id: string
  readonly at: number
  readonly text: string
}

/** A stream that was opened again may begin anew: what has a number that was shown is not shown again. */
const oncePerId = (lines: readonly Line[]): readonly Line[] =>
  [...new Map(lines.toReversed().map((line) => [line.id, line])).values()].reverse()

const useLines = (job: JobView): readonly Line[] => {
  const [lines, setLines] = useState<readonly Line[]>([])
  useEvents({
    url: `/admin/v1/jobs/${job.job}/events`,
    types,
    onEvents: (events) => {
      const told = events.flatMap((event): readonly Line[] => {
        const text = lineOf(event)
        return text === undefined ? [] : [{ id: event.id, at: Date.now(), text }]
      })
      if (told.length > 0) setLines((before) => oncePerId([...before, ...told]).slice(-maxLines))
    },
  })
  return lines
}

const isSwitch = (result: unknown): result is SwitchReport =>
  typeof result === 'object' && result !== null && 'pauseMs' in result && 'steps' in result

const Result = ({ job }: { readonly job: JobView }) => {
  if (job.error) return <ErrorNote error={new AskError(409, job.error)} />
  if (!isSwitch(job.result)) return null
  const { pauseMs, steps, command } = job.result
  return (
    <Note kind={command?.failure ? 'warn' : 'ok'}>
      <p>
        <strong>Writes were refused for {duration(pauseMs)}.</strong>
      </p>
      <p className="dim">{steps.map(({ step, elapsedMs }) => `${step} ${duration(elapsedMs)}`).join(' · ')}</p>
      {command?.failure && <p>The command after the switch did not end well: {command.failure}</p>}
    </Note>
  )
}

/** What one operation does, as it tells it, and how it ended. */
export const JobActivity = ({ job }: { readonly job: JobView }) => {
  const cancel = useAction('DELETE /jobs/:id')
  const mayCancel = useMay('operator')
  const lines = useLines(job)
  const [kind, word] = states[job.state]
  return (
    <Panel
      title={kinds[job.kind] ?? job.kind}
      actions={
        <>
          <Status kind={kind}>{word}</Status>
          <span className="dim">
            <Since at={job.startedAt} />
          </span>
          {job.state === 'running' && mayCancel && (
            <Button kind="quiet" icon={X} isBusy={cancel.isPending} onClick={() => cancel.mutate({ params: { id: job.job } })}>
              Stop
            </Button>
          )}
        </>
      }
    >
      <div className="stack">
        <Result job={job} />
        {lines.length === 0 ? (
          <p className="dim">Nothing to tell yet.</p>
        ) : (
          <ol className="activity" aria-label="What was done, the newest first">
            {lines.toReversed().map(({ id, at, text }) => (
              <li key={id}>
                <time className="dim numbers">{timeOfDay(at)}</time>
                <span className="wrap-anywhere">{text}</span>
              </li>
            ))}
          </ol>
        )}
      </div>
    </Panel>
  )
}

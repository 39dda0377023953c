import type { AttemptLine, EventDetail } from 'tidemark/admin'
import { counted, duration } from '../../format/format.ts'
import { Since } from '../../parts/since.tsx'
import { Status, type StatusKind } from '../../parts/status.tsx'

const outcomes: Readonly<Record<AttemptLine['outcome'], readonly [StatusKind, string]>> = {
  processed: ['ok', 'processed'],
  failed: ['warn', 'failed'],
  breaker_open: ['warn', 'skipped: a circuit breaker is open'],
  worker_ended: ['bad', 'its worker ended while it had the event; not counted'],
}

const Outcome = ({ outcome, deadReason }: AttemptLine) => {
  const [kind, text] = outcomes[outcome]
  return (
    <Status kind={deadReason === null ? kind : 'bad'}>{deadReason === null ? text : `${text}, the last (${deadReason})`}</Status>
  )
}

/** A moment to the millisecond: attempts may follow each other quickly. */
const Moment = ({ at }: { readonly at: string }) => (
  <>
    <code>{at}</code> (<Since at={at} />)
  </>
)

const When = ({ line }: { readonly line: AttemptLine }) => (
  <p className="dim">
    {line.beganAt === null ? 'Noticed ' : line.outcome === 'worker_ended' ? 'Taken ' : 'Began '}
    <Moment at={line.beganAt ?? line.at} />
    {line.durationMs !== null && `, took ${duration(line.durationMs)}`}
    {line.worker !== null && (
      <>
        , on <code>{line.worker}</code>
      </>
    )}
    {line.nextAt !== null && (
      <>
        ; the next was due <Moment at={line.nextAt} />
      </>
    )}
  </p>
)

const Said = ({ code, message, stack }: AttemptLine) => (
  <>
    {(code !== null || message !== null) && (
      <p className="wrap-anywhere">
        {code !== null && <code>{code}</code>} {message}
      </p>
    )}
    {stack !== null && (
      <details>
        <summary>Stack</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard. */}
        <pre className="code" tabIndex={0}>
          {stack}
        </pre>
      </details>
    )}
  </>
)

type AttemptsProps = Pick<EventDetail, 'attemptLog' | 'attemptsLeftOut' | 'edits'>

/** Each attempt of an event, the first one first; those of a replay say of which. */
export const Attempts = ({ attemptLog, attemptsLeftOut, edits }: AttemptsProps) => {
  const chainOf = (replayId: string | null): string => {
    if (replayId === null) return ''
    const edit = edits.find((each) => each.replayId === replayId)
    return ` of replay ${replayId.slice(0, 8)}${edit ? `, with the body of ${edit.actor}` : ''}`
  }
  if (attemptLog.length === 0) return null
  return (
    <>
      <h3>Attempts</h3>
      {attemptsLeftOut > 0 && <p className="dim">{counted(attemptsLeftOut, 'attempt')} before these left out.</p>}
      <ol className="stack" aria-label="Attempts">
        {attemptLog.map((line) => (
          <li key={`${line.at} ${line.attempt} ${line.outcome}`}>
            <strong>
              Attempt {line.attempt}
              {chainOf(line.replayId)}
            </strong>{' '}
            <Outcome {...line} />
            <When line={line} />
            <Said {...line} />
          </li>
        ))}
      </ol>
    </>
  )
}

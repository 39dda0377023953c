import type { BreakerEvent } from 'tidemark/admin'
import { counted } from '../../format/format.ts'
import { Since } from '../../parts/since.tsx'
import { Status } from '../../parts/status.tsx'
import { stateKind, stateWord } from './breaker-state.ts'

/** What breakers did, the newest first. */
export const TimeLine = ({
  events,
  isOfAll = false,
}: {
  readonly events: readonly BreakerEvent[]
  readonly isOfAll?: boolean
}) =>
  events.length === 0 ? (
    <p className="dim">It has not changed since it is watched.</p>
  ) : (
    <ol className="time-line" aria-label="Time line">
      {events.map((event) => (
        <li key={event.id} data-kind={stateKind(event.to)}>
          <div className="row">
            {isOfAll && <strong>{event.service}</strong>}
            <Status kind={stateKind(event.to)}>{stateWord(event.to)}</Status>
            <span className="dim">after {stateWord(event.from)}</span>
            <span className="dim">
              <Since at={event.at} />
            </span>
          </div>
          <p className="dim">
            {event.reason ?? ''}
            {event.failures !== null && event.failures > 0 && ` (${counted(event.failures, 'failure')})`}
            {event.instance !== '' && ` · by one process for itself, ${event.instance}`}
          </p>
        </li>
      ))}
    </ol>
  )

import { Pencil, RotateCw } from 'lucide-react'
import { useState } from 'react'
import type { EventDetail as Detail } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAction, useAnswer } from '../../api/use-answer.ts'
import { count } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button } from '../../parts/button.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { ErrorNote } from '../../parts/error-note.tsx'
import { Note } from '../../parts/note.tsx'
import { Since } from '../../parts/since.tsx'
import { Status } from '../../parts/status.tsx'
import { useSay } from '../../shell/say.tsx'
import { Attempts } from './attempts.tsx'
import { EditReplay } from './edit-replay.tsx'
import { Edits } from './edits.tsx'
import { pretty } from './pretty.ts'
import { statusKind } from './status-kind.ts'

const Facts = ({ event }: { readonly event: Detail }) => (
  <dl className="pairs">
    <dt>State</dt>
    <dd>
      <Status kind={statusKind(event.status)}>{event.status}</Status>
      {event.reason !== null && ` (${event.reason})`} {event.edited && <Status kind="warn">edited</Status>}
    </dd>
    <dt>Signature</dt>
    <dd>
      <Status kind={event.verified ? 'ok' : 'warn'}>{event.verified ? 'verified' : 'not signed'}</Status>{' '}
      <span className="dim">({event.trust})</span>
    </dd>
    <dt>From</dt>
    <dd>
      {event.provider}, tenant <code>{event.tenant}</code>
    </dd>
    <dt>About</dt>
    <dd>{event.entity ?? 'nothing in particular'}</dd>
    <dt>Came</dt>
    <dd>
      <Since at={event.receivedAt} />
    </dd>
    <dt>Attempts</dt>
    <dd>
      {count(event.attempts)}
      {event.processedAt !== null && (
        <>
          , processed <Since at={event.processedAt} />
        </>
      )}
      {event.nextAttemptAt !== null && (
        <>
          , the next <Since at={event.nextAttemptAt} />
        </>
      )}
    </dd>
    <dt>Lane</dt>
    <dd>
      <code>{event.lane}</code>, partition {event.partition}
    </dd>
  </dl>
)

/** One event: what came, whether it was signed, what became of it; and sending it through again. */
export const EventDetail = ({ id, onClose }: { readonly id: string; readonly onClose: () => void }) => {
  const say = useSay()
  const may = useMay('operator')
  const answer = useAnswer('GET /hooks/show', { query: { id } }, { everyMs: 2_000 })
  const replay = useAction('POST /hooks/replay')
  const [isEditing, setEditing] = useState(false)
  const { data: event } = answer
  // What waits for its turn has nothing to be repeated.
  const isDone = event !== undefined && event.status !== 'accepted' && event.status !== 'processing'
  const body = { ids: [id], ...(event && { status: [event.status] }) }
  return (
    <Dialog
      title={answer.data ? `${answer.data.provider}: ${answer.data.type}` : 'Event'}
      description={id}
      isOpen
      isWide
      onClose={onClose}
      actions={
        <>
          <CopyAs path="GET /hooks/show" input={{ query: { id } }} cli={`npx tidemark hooks show ${id}`} />
          <Button
            icon={Pencil}
            disabled={!may || !isDone || event.rawEncoding === 'base64'}
            title={event?.rawEncoding === 'base64' ? 'What came is no text.' : undefined}
            onClick={() => setEditing(true)}
          >
            Edit and replay…
          </Button>
          <Button
            kind="primary"
            icon={RotateCw}
            disabled={!may || !isDone}
            isBusy={replay.isPending}
            onClick={() =>
              replay.mutate(
                { body },
                {
                  onSuccess: ({ selected }) =>
                    say(selected > 0 ? 'It is sent through again.' : 'It is on its way already: nothing was begun.'),
                },
              )
            }
          >
            Replay
          </Button>
        </>
      }
    >
      {replay.error && <ErrorNote error={replay.error} />}
      <Answered of={answer} height={300}>
        {(event) => (
          <>
            <Facts event={event} />
            {event.error !== null && (
              <Note kind="bad">
                <pre className="wrap-anywhere">{event.error}</pre>
              </Note>
            )}
            <Attempts {...event} />
            <h3>Headers</h3>
            <dl className="pairs">
              {Object.entries(event.headers).map(([name, value]) => (
                <div key={name} style={{ display: 'contents' }}>
                  <dt>
                    <code>{name}</code>
                  </dt>
                  <dd>
                    <code>{value}</code>
                  </dd>
                </div>
              ))}
            </dl>
            <h3>
              Body{event.edits.length > 0 ? ', as it came' : ''}
              {event.rawEncoding === 'base64' ? ', in base64' : ''}
            </h3>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard. */}
            <pre className="code" tabIndex={0}>
              {pretty(event)}
            </pre>
            <Edits edits={event.edits} />
            {isEditing && <EditReplay event={event} onClose={() => setEditing(false)} />}
          </>
        )}
      </Answered>
    </Dialog>
  )
}

import { Ear, LogOut } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import type { CallerRole } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { roles } from '../../api/viewpoint.ts'
import { shellWord, timeOfDay } from '../../format/format.ts'
import { Button } from '../../parts/button.tsx'
import { areClaims, ClaimsField } from '../../parts/claims-field.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { Empty } from '../../parts/empty.tsx'
import { SelectField, TextField } from '../../parts/field.tsx'
import { Note } from '../../parts/note.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Status, type StatusKind } from '../../parts/status.tsx'
import { type HeardMessage, type Inspected, type InspectionState, inspectionInput, useInspection } from './use-inspection.ts'

const columns: readonly Column<HeardMessage>[] = [
  { name: 'at', title: 'Heard', width: '96px', cell: ({ at }) => timeOfDay(at) },
  { name: 'event', title: 'Event', width: '170px', cell: ({ event }) => <code>{event}</code> },
  {
    name: 'payload',
    title: 'Payload',
    width: 'minmax(240px, 4fr)',
    cell: ({ payload }) => <code>{(JSON.stringify(payload) ?? '').slice(0, 300)}</code>,
  },
]

const kinds: Readonly<Record<InspectionState, StatusKind>> = { away: 'idle', joining: 'busy', joined: 'ok', refused: 'bad' }
const words: Readonly<Record<InspectionState, string>> = {
  away: 'not joined',
  joining: 'joining',
  joined: 'joined',
  refused: 'refused',
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** A message to whoever has joined. */
const sendTo = ({ topic, private: isPrivate }: Inspected): string =>
  `npx tidemark db psql --command ${shellWord(`select realtime.send('{}', 'hello', ${literal(topic)}, ${isPrivate})`)}`

interface InspectorProps {
  readonly draft: Inspected
  readonly onDraft: (draft: Inspected) => void
  /** It is being joined. */
  readonly onJoin: (draft: Inspected) => void
}

/** Joins a channel as a user that is chosen, and shows what that user hears: by the same rules, row security among them. */
export const Inspector = ({ draft, onDraft, onJoin }: InspectorProps) => {
  const isAdmin = useMay('admin')
  const [joined, setJoined] = useState<Inspected>()
  const [open, setOpen] = useState<HeardMessage>()
  const { state, reason, messages } = useInspection(joined)
  const set = (changed: Partial<Inspected>): void => onDraft({ ...draft, ...changed })
  const isReady = draft.topic !== '' && areClaims(draft.claims ?? '')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (!isReady) return
    setJoined(draft)
    onJoin(draft)
  }
  const offered = roles.filter((role) => role !== 'service_role' || isAdmin)
  return (
    <Panel
      title="Inspector"
      isFlush
      actions={
        <>
          <span role="status">
            <Status kind={kinds[state]}>{words[state]}</Status>
          </span>
          <CopyAs path="GET /realtime/inspect" input={inspectionInput(draft)} />
        </>
      }
    >
      <form className="panel-line filters" onSubmit={submit}>
        <TextField
          label="Channel"
          placeholder="room:1"
          value={draft.topic}
          onChange={({ target }) => set({ topic: target.value })}
        />
        <SelectField
          label="Kind"
          value={draft.private ? 'private' : 'public'}
          options={[
            ['public', 'public'],
            ['private', 'private'],
          ]}
          onChange={({ target }) => set({ private: target.value === 'private' })}
        />
        <SelectField
          label="As"
          value={draft.role}
          options={offered.map((role) => [role, role] as const)}
          onChange={({ target }) => set({ role: target.value as CallerRole })}
        />
        {draft.role === 'authenticated' && (
          <>
            <TextField
              label="User id"
              placeholder="sub of the token"
              value={draft.user ?? ''}
              onChange={({ target }) => set({ user: target.value || undefined })}
            />
            <ClaimsField value={draft.claims ?? ''} onChange={(claims) => set({ claims: claims || undefined })} />
          </>
        )}
        <TextField
          label="Changes of tables"
          placeholder="public.messages"
          value={draft.tables ?? ''}
          onChange={({ target }) => set({ tables: target.value || undefined })}
        />
        <Button type="submit" kind="primary" icon={Ear} disabled={!isReady}>
          Join
        </Button>
        {joined && (
          <Button icon={LogOut} onClick={() => setJoined(undefined)}>
            Leave
          </Button>
        )}
      </form>
      {state === 'refused' && <Note kind="bad">{reason ?? 'The channel was closed.'}</Note>}
      <DataTable
        label="What was heard, the newest first"
        columns={columns}
        rows={messages}
        rowKey={({ n }) => String(n)}
        onOpen={setOpen}
        maxHeight={360}
        rowHeight={30}
        isFast
        empty={
          <Empty
            title={joined ? 'Nothing was told so far' : 'Nothing is listened to'}
            icon={Ear}
            {...(joined ? { command: sendTo(joined) } : { act: 'Choose a channel above, and who listens; then join.' })}
          >
            <p>
              Broadcasts, presence and changes come here as that user would hear them. The inspector says nothing, and is not
              present. Who joined as whom stands in the audit log.
            </p>
          </Empty>
        }
      />
      {open && (
        <Dialog
          title={open.event}
          description={new Date(open.at).toLocaleString()}
          isOpen
          isWide
          onClose={() => setOpen(undefined)}
        >
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard. */}
          <pre className="code" tabIndex={0}>
            {JSON.stringify(open.payload, null, 2)}
          </pre>
        </Dialog>
      )}
    </Panel>
  )
}

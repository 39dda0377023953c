import { Eraser, Radio, Trash2 } from 'lucide-react'
import { useState } from 'react'
import type { LagReport, SlotReport, ToldChange } from 'tidemark/admin'
import { AskError } from '../../api/ask.ts'
import { useMay } from '../../api/session.ts'
import { useAction, useAnswer } from '../../api/use-answer.ts'
import { bytes, compact, count, duration, shellWord, timeOfDay } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { IconButton } from '../../parts/button.tsx'
import { ConfirmDialog } from '../../parts/confirm-dialog.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { ErrorNote } from '../../parts/error-note.tsx'
import { TextField } from '../../parts/field.tsx'
import { Figure, Figures } from '../../parts/figures.tsx'
import { Note } from '../../parts/note.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { Status, type StatusKind } from '../../parts/status.tsx'
import { textOf, useFilters } from '../../shell/filters.ts'
import { ChangeDetail } from './change-detail.tsx'
import { type Tail, type TailRow, useTail } from './tail.ts'

const read = (search: Readonly<Record<string, unknown>>) => ({ tables: textOf(search['tables']) })

const kinds: Readonly<Record<string, StatusKind>> = { insert: 'ok', update: 'info', delete: 'bad', truncate: 'warn' }

const summary = ({ old, new: fresh }: ToldChange): string =>
  Object.entries(fresh ?? old ?? {})
    .slice(0, 12)
    .map(([name, value]) => `${name} ${value === null ? 'null' : value.slice(0, 60)}`)
    .join(' · ')

const columns: readonly Column<TailRow>[] = [
  {
    name: 'at',
    title: 'Committed',
    width: '96px',
    cell: ({ told }) => (told.type === 'change' ? timeOfDay(told.committedAt) : ''),
  },
  {
    name: 'kind',
    title: 'Change',
    width: '110px',
    cell: ({ told }) =>
      told.type === 'change' ? (
        <Status kind={kinds[told.kind] ?? 'info'}>{told.kind}</Status>
      ) : (
        <Status kind="warn">reset</Status>
      ),
  },
  {
    name: 'table',
    title: 'Table',
    width: 'minmax(150px, 1fr)',
    cell: ({ told }) => <code>{told.type === 'change' ? told.table : told.reason}</code>,
  },
  {
    name: 'position',
    title: 'Position',
    width: '104px',
    cell: ({ told: { position } }) => <code title={position}>{position.split(':').at(-1)}</code>,
  },
  {
    name: 'row',
    title: 'Row',
    width: 'minmax(240px, 4fr)',
    cell: ({ told }) => <code>{told.type === 'change' ? summary(told) : ''}</code>,
  },
]

const stateWords = { open: 'live', connecting: 'connecting', closed: 'not listening' } as const
const stateKinds = { open: 'ok', connecting: 'busy', closed: 'warn' } as const

/** Each state is said aloud once, and not how many changes there are by now. */
const TailState = ({ tail: { state, seen } }: { readonly tail: Tail }) => (
  <>
    <span className="hidden" role="status">
      The tail is {stateWords[state]}
    </span>
    <Status kind={stateKinds[state]}>{state === 'open' ? `live, ${count(seen)} seen` : stateWords[state]}</Status>
  </>
)

const tableForm = /^[^.,\s]+\.[^.,]+(,[^.,\s]+\.[^.,]+)*$/

const Live = () => {
  const [{ tables }, setFilters] = useFilters(read)
  const [typed, setTyped] = useState(tables ?? '')
  const [chosen, setChosen] = useState<ToldChange>()
  const tail = useTail(tables)
  const wrong = typed === '' || tableForm.test(typed) ? undefined : 'Names as schema.table, separated by commas.'
  return (
    <Panel
      title="Live tail"
      isFlush
      actions={
        <>
          <TailState tail={tail} />
          <CopyAs
            path="GET /feed/lag"
            input={{}}
            cli={`npx tidemark feed tail${tables === undefined ? '' : ` --tables ${shellWord(tables)}`}`}
          />
          <IconButton icon={Eraser} label="Clear the list" onClick={tail.clear} />
        </>
      }
    >
      <form
        className="panel-line"
        onSubmit={(event) => {
          event.preventDefault()
          if (wrong === undefined) setFilters({ tables: typed === '' ? undefined : typed })
        }}
      >
        <TextField
          label="Only these tables"
          placeholder="public.orders,public.customers"
          hint="Without names: all but public.api_metrics, to which this page's own requests add."
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          wrong={wrong}
        />
      </form>
      {tail.error && <ErrorNote error={new AskError(409, tail.error)} />}
      <DataTable
        label="Changes, the newest first"
        columns={columns}
        rows={tail.rows}
        rowKey={({ n }) => String(n)}
        onOpen={({ told }) => told.type === 'change' && setChosen(told)}
        maxHeight={520}
        rowHeight={30}
        isFast
        empty={
          <Empty title="Nothing was changed since this screen was opened" icon={Radio} command="npx tidemark feed tail">
            <p>
              Every committed change of a table with a key is shown here as it comes: from the application, from psql, from a
              move.
            </p>
          </Empty>
        }
      />
      {chosen && <ChangeDetail change={chosen} onClose={() => setChosen(undefined)} />}
    </Panel>
  )
}

const slotKinds: Readonly<Record<SlotReport['state'], StatusKind>> = { read: 'ok', idle: 'warn', lost: 'bad' }

const Slots = ({ slots }: Pick<LagReport, 'slots'>) => {
  const drop = useAction('DELETE /feed/slots/:name')
  const mayDrop = useMay('admin')
  const [asked, setAsked] = useState<string>()
  const slotColumns: readonly Column<SlotReport>[] = [
    { name: 'name', title: 'Slot', width: 'minmax(150px, 2fr)', cell: ({ name }) => <code>{name}</code> },
    { name: 'state', title: 'State', width: '90px', cell: ({ state }) => <Status kind={slotKinds[state]}>{state}</Status> },
    { name: 'behind', title: 'Behind', width: '96px', align: 'end', cell: ({ behindBytes }) => bytes(behindBytes) },
    {
      name: 'room',
      title: 'Room left',
      width: '96px',
      align: 'end',
      cell: ({ headroomBytes }) => (headroomBytes === null ? 'no bound' : bytes(headroomBytes)),
    },
    {
      name: 'drop',
      title: 'Drop',
      width: '54px',
      cell: ({ name, state }) =>
        state !== 'read' &&
        mayDrop && <IconButton icon={Trash2} label={`Drop the slot ${name}`} onClick={() => setAsked(name)} />,
    },
  ]
  return (
    <Panel title="Slots" isFlush actions={<CopyAs path="GET /feed/lag" input={{}} cli="npx tidemark feed lag" />}>
      <DataTable
        label="Replication slots"
        columns={slotColumns}
        rows={slots}
        rowKey={({ name }) => name}
        maxHeight={260}
        empty={<Empty title="No slot is kept" icon={Radio} command="npx tidemark dev" />}
      />
      <ConfirmDialog
        title="Drop the slot"
        description="Whoever reads it begins anew. Do it where nobody will read it again: until then it keeps log on the disk."
        verb="Drop"
        isDanger
        typed={asked ?? ''}
        copyAs={
          <CopyAs
            path="DELETE /feed/slots/:name"
            input={{ params: { name: asked ?? '' } }}
            cli={`npx tidemark feed slots --drop ${shellWord(asked ?? '')}`}
          />
        }
        isOpen={asked !== undefined}
        isBusy={drop.isPending}
        error={drop.error}
        onConfirm={() =>
          asked !== undefined && drop.mutate({ params: { name: asked } }, { onSuccess: () => setAsked(undefined) })
        }
        onClose={() => setAsked(undefined)}
      />
    </Panel>
  )
}

interface AnyFollower {
  readonly name: string
  readonly kind: StatusKind
  readonly word: string
  readonly detail: string
  readonly at: string | undefined
}

const followersOf = ({ node, followers }: LagReport): readonly AnyFollower[] => [
  ...(node?.followers ?? []).map(
    ({ name, state, queuedBytes, lastError }): AnyFollower => ({
      name,
      kind: state === 'running' ? 'ok' : state === 'holding' ? 'warn' : 'bad',
      word: state,
      detail: lastError ?? `${bytes(queuedBytes)} queued`,
      at: undefined,
    }),
  ),
  ...followers.map(
    ({ name, position, updatedAt }): AnyFollower => ({ name, kind: 'info', word: 'durable', detail: position, at: updatedAt }),
  ),
]

const followerColumns: readonly Column<AnyFollower>[] = [
  { name: 'name', title: 'Follower', width: 'minmax(130px, 1fr)', cell: ({ name }) => <code>{name}</code> },
  { name: 'state', title: 'State', width: '100px', cell: ({ kind, word }) => <Status kind={kind}>{word}</Status> },
  {
    name: 'detail',
    title: 'Where',
    width: 'minmax(160px, 2fr)',
    cell: ({ detail, at }) => (
      <span title={detail}>
        {at === undefined ? (
          detail
        ) : (
          <>
            <Since at={at} /> · {detail}
          </>
        )}
      </span>
    ),
  },
]

const Numbers = ({ lag: { node, slots, stream, outbox } }: { readonly lag: LagReport }) => {
  const behind = Math.max(0, ...slots.filter(({ temporary }) => !temporary).map(({ behindBytes }) => behindBytes))
  const waiting = outbox.reduce((sum, { rows }) => sum + rows, 0)
  return (
    <Figures label="The feed">
      <Figure label="This server" value={node?.role ?? 'no part'}>
        {node?.problem ?? 'no trouble'}
      </Figure>
      <Figure label="Fresh to" value={node?.freshnessMs == null ? '–' : duration(node.freshnessMs)}>
        everything older was applied
      </Figure>
      <Figure label="Log behind" value={bytes(behind)}>
        the slot that is furthest back
      </Figure>
      <Figure
        label="Stream in Redis"
        value={stream === null ? '–' : compact(stream.entries)}
        unit={stream === null ? undefined : 'entries'}
      >
        {stream === null ? (
          'no Redis, or nothing yet'
        ) : stream.beating ? (
          <Status kind="ok">beating</Status>
        ) : (
          <Status kind="bad">silent</Status>
        )}
      </Figure>
      {waiting > 0 && (
        <Figure label="Outbox" value={compact(waiting)} unit="rows">
          wait for their readers
        </Figure>
      )}
    </Figures>
  )
}

/** Every committed change as it comes, and how far everybody who follows is. */
export const FeedScreen = () => {
  const lag = useAnswer('GET /feed/lag', {}, { everyMs: 2_000 })
  const mayListen = useMay('operator')
  return (
    <>
      <Answered of={lag}>{(report) => <Numbers lag={report} />}</Answered>
      {mayListen ? <Live /> : <Note kind="warn">Changes hold rows of people: to see them takes the role operator.</Note>}
      {lag.data && (
        <div className="columns">
          <Slots slots={lag.data.slots} />
          <Panel title="Followers" isFlush>
            <DataTable
              label="Followers"
              columns={followerColumns}
              rows={followersOf(lag.data)}
              rowKey={({ name, word }) => `${name} ${word}`}
              maxHeight={260}
              empty={
                <Empty title="Nobody follows" icon={Radio} command="npx tidemark feed lag">
                  <p>Caches, realtime and apps follow by themselves when they are configured.</p>
                </Empty>
              }
            />
          </Panel>
        </div>
      )}
    </>
  )
}

import { Webhook } from 'lucide-react'
import type { EventView } from 'tidemark/admin'
import type { Answer } from '../../api/ask.ts'
import { useAnswer } from '../../api/use-answer.ts'
import { compact, count } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { SelectField } from '../../parts/field.tsx'
import { Figure, Figures } from '../../parts/figures.tsx'
import { FilterField } from '../../parts/filter-field.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { Status } from '../../parts/status.tsx'
import { wordOf } from '../../shell/filters.ts'
import { EventDetail } from './event-detail.tsx'
import { ReplayAll, Replays } from './replays.tsx'
import { statusKind } from './status-kind.ts'
import { selectionOf, selectionOptions, statuses, useWebhookFilters } from './webhooks-filters.ts'

const columns: readonly Column<EventView>[] = [
  { name: 'at', title: 'Came', width: '110px', cell: ({ receivedAt }) => <Since at={receivedAt} /> },
  { name: 'provider', title: 'Provider', width: '120px', cell: ({ provider }) => provider },
  { name: 'type', title: 'Event', width: 'minmax(160px, 2fr)', cell: ({ type }) => <strong>{type}</strong> },
  { name: 'entity', title: 'About', width: 'minmax(140px, 1fr)', cell: ({ entity }) => <code>{entity ?? ''}</code> },
  {
    name: 'status',
    title: 'State',
    width: '130px',
    cell: ({ status, edited }) => <Status kind={statusKind(status)}>{edited ? `${status}, edited` : status}</Status>,
  },
  { name: 'attempts', title: 'Attempts', width: '84px', align: 'end', cell: ({ attempts }) => count(attempts) },
  {
    name: 'error',
    title: 'Error',
    width: 'minmax(160px, 2fr)',
    cell: ({ error, reason }) => <span title={error ?? ''}>{error ?? reason ?? ''}</span>,
  },
]

const Counts = ({ counts }: Pick<Answer<'POST /hooks/list'>, 'counts'>) => {
  const of = (status: string): number => counts.reduce((sum, one) => sum + (one.status === status ? one.events : 0), 0)
  return (
    <Figures label="Events by state">
      <Figure label="Waiting" value={compact(of('accepted') + of('processing'))}>
        accepted, or at work
      </Figure>
      <Figure label="Processed" value={compact(of('processed'))} />
      <Figure label="To be tried again" value={compact(of('failed'))}>
        <Status kind={of('failed') > 0 ? 'warn' : 'ok'}>{of('failed') > 0 ? 'failed lately' : 'none'}</Status>
      </Figure>
      <Figure label="Dead letters" value={compact(of('dead'))}>
        <Status kind={of('dead') > 0 ? 'bad' : 'ok'}>{of('dead') > 0 ? 'look at them' : 'none'}</Status>
      </Figure>
    </Figures>
  )
}

const Filters = () => {
  const [filters, setFilters] = useWebhookFilters()
  return (
    <div className="panel-line filters">
      <SelectField
        label="State"
        value={filters.status}
        options={statuses.map((status) => [status, status] as const)}
        onChange={(event) => setFilters({ status: wordOf(event.target.value, statuses) })}
      />
      <FilterField label="Provider" value={filters.provider} onChange={(provider) => setFilters({ provider })} />
      <FilterField label="Event" value={filters.type} onChange={(type) => setFilters({ type })} />
      <FilterField label="About" value={filters.entity} onChange={(entity) => setFilters({ entity })} />
    </div>
  )
}

/** Every event that came by webhook: what it was, what became of it, and the way through once more. */
export const WebhooksScreen = () => {
  const [filters, setFilters] = useWebhookFilters()
  const selection = selectionOf(filters)
  const body = { ...selection, limit: 500 }
  const answer = useAnswer('POST /hooks/list', { body }, { everyMs: 2_000 })
  return (
    <>
      {answer.data && <Counts counts={answer.data.counts} />}
      <Panel
        title="Events"
        isFlush
        actions={
          <>
            {answer.data && <ReplayAll filters={filters} />}
            <CopyAs
              path="POST /hooks/list"
              input={{ body }}
              cli={`npx tidemark hooks list${selectionOptions(filters)} --limit 500`}
            />
          </>
        }
      >
        {/* They stay where an answer is refused: they are what has to be changed. */}
        <Filters />
        <Answered of={answer} height={320}>
          {({ events }) => (
            <DataTable
              label="Events"
              columns={columns}
              rows={events}
              rowKey={({ id }) => id}
              onOpen={({ id }) => setFilters({ id })}
              openKey={filters.id}
              maxHeight={560}
              empty={
                <Empty title="No event fits" icon={Webhook} command="npx tidemark hooks send PROVIDER event.json">
                  <p>Providers deliver to /webhooks/PROVIDER of this server. The command delivers one as a provider would.</p>
                </Empty>
              }
            />
          )}
        </Answered>
      </Panel>
      <Replays />
      {filters.id !== undefined && <EventDetail id={filters.id} onClose={() => setFilters({ id: undefined })} />}
    </>
  )
}

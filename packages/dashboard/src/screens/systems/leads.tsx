import { Inbox } from 'lucide-react'
import type { ApprovalView, LeadView } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { count, percent } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Since } from '../../parts/since.tsx'
import { StateCounts } from '../../parts/state-counts.tsx'
import { Status } from '../../parts/status.tsx'
import { Absent } from './absent.tsx'
import { Approval } from './approval.tsx'
import { kindOf } from './kinds.ts'
import { LivePanel } from './live-panel.tsx'
import { useSystemsFilters } from './systems-filters.ts'
import { useLiveSystem } from './use-live-system.ts'

const stages = ['new', 'contacted', 'qualified', 'nurturing', 'converted', 'lost', 'closed'] as const

const Lead = ({ lead }: { readonly lead: LeadView }) => (
  <li className="card">
    <strong>{lead.name}</strong>
    <div className="row dim">
      <span>{lead.agent ?? 'nobody yet'}</span>
      {lead.source !== null && <span>{lead.source}</span>}
      <Since at={lead.since} />
    </div>
    {lead.blocked !== null && <Status kind="warn">not to be contacted: {lead.blocked}</Status>}
  </li>
)

const Stage = ({
  stage,
  total,
  leads,
}: {
  readonly stage: string
  readonly total: number
  readonly leads: readonly LeadView[]
}) => (
  <section className="stage" aria-label={stage}>
    <h3>
      {stage} <span className="count">{count(total)}</span>
    </h3>
    <ul>
      {leads.map((lead) => (
        <Lead key={lead.id} lead={lead} />
      ))}
    </ul>
    {leads.length < total && <p className="dim">and {count(total - leads.length)} more</p>}
  </section>
)

const columns: readonly Column<ApprovalView>[] = [
  { name: 'at', title: 'Asked', width: '110px', cell: ({ at }) => <Since at={at} /> },
  { name: 'status', title: 'State', width: '120px', cell: ({ status }) => <Status kind={kindOf(status)}>{status}</Status> },
  { name: 'lead', title: 'To', width: 'minmax(140px, 1fr)', cell: ({ lead }) => <strong>{lead}</strong> },
  { name: 'channel', title: 'By', width: '96px', cell: ({ channel }) => channel },
  {
    name: 'subject',
    title: 'Subject',
    width: 'minmax(180px, 2fr)',
    cell: ({ subject }) => <span title={subject ?? ''}>{subject ?? ''}</span>,
  },
  { name: 'score', title: 'Score', width: '80px', align: 'end', cell: ({ score }) => percent(score) },
  {
    name: 'expires',
    title: 'Expires',
    width: '110px',
    cell: ({ expiresAt }) => (expiresAt === null ? '' : <Since at={expiresAt} />),
  },
  {
    name: 'error',
    title: 'Error',
    width: 'minmax(140px, 2fr)',
    cell: ({ error }) => <span title={error ?? ''}>{error ?? ''}</span>,
  },
]

/** Leads by stage, and what waits for somebody's leave. */
export const Leads = () => {
  const [{ approval }, setFilters] = useSystemsFilters()
  const answer = useAnswer('GET /systems/leads', {}, { everyMs: 5_000 })
  const isListening = useLiveSystem('leads', answer.data)
  return (
    <Answered of={answer} height={320}>
      {({ isPresent, stages: totals, leads, approvals, inbox }) =>
        isPresent ? (
          <div className="stack">
            <LivePanel title="Pipeline" isListening={isListening} actions={<CopyAs path="GET /systems/leads" input={{}} />}>
              {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard. */}
              <section className="pipeline" aria-label="Leads by stage" tabIndex={0}>
                {stages.map((stage) => (
                  <Stage
                    key={stage}
                    stage={stage}
                    total={totals[stage] ?? 0}
                    leads={leads.filter(({ status }) => status === stage)}
                  />
                ))}
              </section>
            </LivePanel>
            <LivePanel title="Approvals" isListening={isListening}>
              <div className="panel-line">
                <StateCounts label="Approvals by state" counts={approvals} kindOf={kindOf} />
              </div>
              <DataTable
                label="Approvals"
                columns={columns}
                rows={inbox}
                rowKey={({ id }) => id}
                onOpen={({ id }) => setFilters({ approval: id })}
                openKey={approval}
                empty={
                  <Empty title="Nothing waits for anybody" icon={Inbox} command="npm start -w apps/re-engine">
                    <p>Drafts that are submitted come here, the oldest first, until they are sent or turned down.</p>
                  </Empty>
                }
              />
            </LivePanel>
            {approval !== undefined && <Approval id={approval} onClose={() => setFilters({ approval: undefined })} />}
          </div>
        ) : (
          <Absent
            title="RE Engine"
            folder="re-engine"
            database="re_engine"
            start="DATABASE_URL=$(npx tidemark db url --database re_engine --role app) JWT_SECRET=… npm start -w apps/re-engine"
          />
        )
      }
    </Answered>
  )
}

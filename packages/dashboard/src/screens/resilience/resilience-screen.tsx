import { ShieldHalf } from 'lucide-react'
import type { BreakerReport, LimiterReport } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { bytes, compact, count, duration } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Figure, Figures } from '../../parts/figures.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { Status } from '../../parts/status.tsx'
import { textOf, useFilters } from '../../shell/filters.ts'
import { BreakerDetail } from './breaker-detail.tsx'
import { kindOf, wordOf } from './breaker-state.ts'
import { TimeLine } from './time-line.tsx'
import './resilience.css'

const read = (search: Readonly<Record<string, unknown>>) => ({ service: textOf(search['service']) })

const breakerColumns: readonly Column<BreakerReport>[] = [
  { name: 'state', title: 'State', width: '140px', cell: (one) => <Status kind={kindOf(one)}>{wordOf(one)}</Status> },
  { name: 'service', title: 'Service', width: 'minmax(160px, 1fr)', cell: ({ service }) => <strong>{service}</strong> },
  { name: 'failures', title: 'Failures', width: '90px', align: 'end', cell: ({ failureCount }) => count(failureCount) },
  {
    name: 'last',
    title: 'Last failure',
    width: '120px',
    cell: ({ lastFailureAt }) => (lastFailureAt === null ? 'never' : <Since at={lastFailureAt} />),
  },
  {
    name: 'retry',
    title: 'Tried again',
    width: '120px',
    cell: ({ retryAfterMs }) => (retryAfterMs > 0 ? `in ${duration(retryAfterMs)}` : ''),
  },
  {
    name: 'until',
    title: 'Held until',
    width: '130px',
    cell: ({ forced, forcedUntil }) =>
      forced === null ? '' : forcedUntil === null ? 'let go by hand' : <Since at={forcedUntil} />,
  },
  {
    name: 'processes',
    title: 'Processes',
    width: '96px',
    align: 'end',
    cell: ({ processes }) => (processes === null ? '–' : count(processes)),
  },
  { name: 'reason', title: 'Reason', width: 'minmax(180px, 2fr)', cell: ({ reason }) => <span title={reason}>{reason}</span> },
]

const limiterColumns: readonly Column<LimiterReport>[] = [
  { name: 'name', title: 'Limiter', width: 'minmax(140px, 1fr)', cell: ({ name }) => <strong>{name}</strong> },
  {
    name: 'rules',
    title: 'At most',
    width: 'minmax(200px, 2fr)',
    cell: ({ rules }) =>
      rules.map(({ limit, windowMs, algorithm }) => `${count(limit)} in ${duration(windowMs)} (${algorithm})`).join(', '),
  },
  { name: 'allowed', title: 'Allowed', width: '96px', align: 'end', cell: ({ counts }) => compact(counts.allowed) },
  {
    name: 'refused',
    title: 'Refused',
    width: '96px',
    align: 'end',
    cell: ({ counts }) => compact(counts.refused + counts.remembered),
  },
  {
    name: 'away',
    title: 'Without Redis',
    width: '112px',
    align: 'end',
    cell: ({ counts }) => compact(counts.local + counts.open),
  },
]

/** What stands before calls to others: breakers, limits, and what waits to be written down. */
export const ResilienceScreen = () => {
  const [{ service }, setFilters] = useFilters(read)
  const breakers = useAnswer('GET /breakers', {}, { everyMs: 2_000 })
  const report = useAnswer('GET /resilience', { query: { limit: 50 } }, { everyMs: 2_000 })
  const open = breakers.data?.breakers.find((one) => one.service === service)
  return (
    <>
      <Answered of={breakers}>
        {({ breakers: all, scope }) => (
          <Panel title="Breakers" isFlush actions={<CopyAs path="GET /breakers" input={{}} cli="npx tidemark breakers" />}>
            <p className="panel-line dim">
              As {scope === 'nothing' ? 'nobody' : scope} see them. A row opens the time line and the buttons.
            </p>
            <DataTable
              label="Breakers"
              columns={breakerColumns}
              rows={all}
              rowKey={(one) => `${one.service} ${one.scope}`}
              onOpen={(one) => setFilters({ service: one.service })}
              empty={
                <Empty title="No call is guarded yet" icon={ShieldHalf} command="npx tidemark breakers">
                  <p>A breaker is there from the first call to a service on: resilience.guard('crm') in an application.</p>
                </Empty>
              }
            />
          </Panel>
        )}
      </Answered>
      <Answered of={report}>
        {({ limiters, journal, events }) => (
          <>
            <Figures label="Journal">
              <Figure label="Waits for Postgres" value={journal ? count(journal.entries) : '–'}>
                <Status kind={journal && journal.entries > 0 ? 'warn' : 'ok'}>
                  {journal === null ? 'nothing is kept on disk' : journal.oldestAt === null ? 'all is written' : 'in the journal'}
                </Status>
              </Figure>
              <Figure
                label="Oldest of it"
                value={journal?.oldestAt ? <Since at={new Date(journal.oldestAt).toISOString()} /> : '–'}
              />
              <Figure label="On disk" value={journal ? bytes(journal.bytes) : '–'} />
              <Figure label="Refused" value={journal ? count(journal.refused) : '–'}>
                <Status kind={journal && journal.refused > 0 ? 'bad' : 'ok'}>
                  {journal && journal.refused > 0 ? 'kept in a file' : 'none'}
                </Status>
              </Figure>
            </Figures>
            <div className="columns">
              <Panel title="Limits" isFlush>
                <DataTable
                  label="Limits"
                  columns={limiterColumns}
                  rows={limiters}
                  rowKey={({ name, rules }) => `${name} ${JSON.stringify(rules)}`}
                  empty={
                    <Empty
                      title="Nothing is limited in this process"
                      icon={ShieldHalf}
                      act="A program that starts this server makes limiters by resilience.limiter({ name, limit, windowMs })."
                    />
                  }
                />
              </Panel>
              <Panel title="What breakers did">
                <TimeLine events={events} isOfAll />
              </Panel>
            </div>
          </>
        )}
      </Answered>
      {open && <BreakerDetail breaker={open} onClose={() => setFilters({ service: undefined })} />}
    </>
  )
}

import { Lock, Timer } from 'lucide-react'
import type { LockView, QueriesReport, SessionView, StatementView } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAnswer } from '../../api/use-answer.ts'
import { roles } from '../../api/viewpoint.ts'
import { compact, count, duration, percent } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Figure, Figures } from '../../parts/figures.tsx'
import { Meter } from '../../parts/meter.tsx'
import { Note } from '../../parts/note.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Status, type StatusKind } from '../../parts/status.tsx'
import { Tabs } from '../../parts/tabs.tsx'
import { textOf, useFilters, wordOf } from '../../shell/filters.ts'
import { Explain } from './explain.tsx'
import './queries.css'

const tabs = ['sessions', 'statements', 'locks', 'pools', 'explain'] as const

const read = (search: Readonly<Record<string, unknown>>) => ({
  tab: wordOf(search['tab'], tabs),
  sql: textOf(search['sql']),
  role: wordOf(search['role'], roles),
})

const sessionKind = ({ blockedBy, state }: SessionView): StatusKind =>
  blockedBy.length > 0 ? 'bad' : state === 'active' ? 'busy' : state?.startsWith('idle in transaction') ? 'warn' : 'idle'

const Words = ({ text }: { readonly text: string }) => <code title={text}>{text.replace(/\s+/g, ' ')}</code>

const sessionColumns: readonly Column<SessionView>[] = [
  { name: 'pid', title: 'Process', width: '84px', align: 'end', cell: ({ pid }) => pid },
  {
    name: 'state',
    title: 'State',
    width: '190px',
    cell: (one) => (
      <Status kind={sessionKind(one)}>
        {one.blockedBy.length > 0 ? `waits for ${one.blockedBy.join(', ')}` : (one.state ?? 'hidden')}
      </Status>
    ),
  },
  { name: 'for', title: 'For', width: '116px', align: 'end', cell: ({ stateMs }) => (stateMs === null ? '' : duration(stateMs)) },
  {
    name: 'transaction',
    title: 'In transaction',
    width: '120px',
    align: 'end',
    cell: ({ transactionMs }) => (transactionMs === null ? '' : duration(transactionMs)),
  },
  { name: 'user', title: 'Login', width: '150px', cell: ({ user }) => user ?? '' },
  {
    name: 'application',
    title: 'Application',
    width: 'minmax(170px, 1fr)',
    cell: ({ application }) => <span title={application}>{application}</span>,
  },
  { name: 'waits', title: 'Waits', width: '150px', cell: ({ waits }) => waits ?? '' },
  {
    name: 'query',
    title: 'Statement',
    width: 'minmax(240px, 3fr)',
    cell: ({ query }) => (query === null ? <span className="dim">of another login</span> : <Words text={query} />),
  },
]

const statementColumns: readonly Column<StatementView>[] = [
  { name: 'total', title: 'In all', width: '110px', align: 'end', cell: ({ totalMs }) => duration(totalMs) },
  {
    name: 'mean',
    title: 'Mean',
    width: '90px',
    align: 'end',
    cell: ({ meanMs }) => (meanMs < 1 ? `${meanMs.toFixed(2)} ms` : duration(meanMs)),
  },
  { name: 'max', title: 'Longest', width: '90px', align: 'end', cell: ({ maxMs }) => duration(maxMs) },
  { name: 'calls', title: 'Calls', width: '84px', align: 'end', cell: ({ calls }) => compact(calls) },
  { name: 'rows', title: 'Rows', width: '84px', align: 'end', cell: ({ rows }) => compact(rows) },
  { name: 'memory', title: 'From memory', width: '110px', align: 'end', cell: ({ inMemory }) => percent(inMemory) },
  { name: 'user', title: 'Login', width: '140px', cell: ({ user }) => user },
  { name: 'query', title: 'Statement', width: 'minmax(260px, 3fr)', cell: ({ query }) => <Words text={query} /> },
]

const lockColumns: readonly Column<LockView>[] = [
  {
    name: 'state',
    title: 'State',
    width: '130px',
    cell: ({ isGranted }) => <Status kind={isGranted ? 'ok' : 'bad'}>{isGranted ? 'held' : 'waits'}</Status>,
  },
  { name: 'pid', title: 'Process', width: '90px', align: 'end', cell: ({ pid }) => pid },
  { name: 'table', title: 'Table', width: 'minmax(180px, 1fr)', cell: ({ table }) => <code>{table}</code> },
  { name: 'mode', title: 'Lock', width: 'minmax(180px, 1fr)', cell: ({ mode }) => mode },
  {
    name: 'waited',
    title: 'Waits for',
    width: '100px',
    align: 'end',
    cell: ({ waitedMs }) => (waitedMs === null ? '' : duration(waitedMs)),
  },
]

type Pool = QueriesReport['pools'][number]

const mean = ({ count: n, sumMs }: Pool['query']): string => (n === 0 ? '–' : `${(sumMs / n).toFixed(1)} ms`)

const poolColumns: readonly Column<Pool>[] = [
  { name: 'name', title: 'Pool', width: 'minmax(110px, 1fr)', cell: ({ name }) => <strong>{name}</strong> },
  {
    name: 'use',
    title: 'In use',
    width: 'minmax(120px, 1fr)',
    cell: ({ name, utilisation }) => (
      <Meter label={`Connections of ${name} in use`} share={utilisation} kind={utilisation > 0.9 ? 'bad' : 'plain'} />
    ),
  },
  {
    name: 'connections',
    title: 'Connections',
    width: '190px',
    align: 'end',
    cell: ({ inUse, total, maxConnections }) => `${inUse} of ${total}, at most ${maxConnections}`,
  },
  { name: 'waiting', title: 'Waiting', width: '84px', align: 'end', cell: ({ waiting }) => count(waiting) },
  { name: 'acquire', title: 'To get one', width: '96px', align: 'end', cell: ({ acquire }) => mean(acquire) },
  { name: 'query', title: 'A query', width: '96px', align: 'end', cell: ({ query }) => mean(query) },
  { name: 'retries', title: 'Again', width: '72px', align: 'end', cell: ({ retries }) => count(retries) },
  { name: 'timeouts', title: 'In vain', width: '76px', align: 'end', cell: ({ timeouts }) => count(timeouts) },
  { name: 'lost', title: 'Lost', width: '68px', align: 'end', cell: ({ lost }) => count(lost) },
]

const NoStatements = () => (
  <Empty title="Postgres keeps no statistics of statements" icon={Timer} command="create extension pg_stat_statements;">
    <p>
      Name pg_stat_statements in shared_preload_libraries, restart Postgres, and run this as a superuser. Without it, Sessions
      shows what runs at the moment.
    </p>
  </Empty>
)

const Numbers = ({ report: { sessions, locks, pools } }: { readonly report: QueriesReport }) => {
  const blocked = sessions.filter(({ blockedBy }) => blockedBy.length > 0).length
  const longest = Math.max(0, ...sessions.map(({ transactionMs }) => transactionMs ?? 0))
  return (
    <Figures label="Postgres at the moment">
      <Figure label="Sessions" value={count(sessions.length)}>
        {count(sessions.filter(({ state }) => state === 'active').length)} at work
      </Figure>
      <Figure label="Blocked" value={count(blocked)}>
        <Status kind={blocked > 0 ? 'bad' : 'ok'}>{blocked > 0 ? 'wait for others' : 'nobody waits'}</Status>
      </Figure>
      <Figure label="Longest transaction" value={duration(longest)} />
      <Figure label="Locks that wait" value={count(locks.filter(({ isGranted }) => !isGranted).length)} />
      <Figure label="Callers that wait" value={count(pools.reduce((sum, { waiting }) => sum + waiting, 0))}>
        for a connection
      </Figure>
    </Figures>
  )
}

/** What Postgres does, has done, and would do. */
export const QueriesScreen = () => {
  const [{ tab, sql, role }, setFilters] = useFilters(read)
  const mayLook = useMay('operator')
  const answer = useAnswer('GET /queries', {}, { everyMs: 2_000, enabled: mayLook })
  if (!mayLook) return <Note kind="warn">Statements may hold what people wrote: this needs the role operator.</Note>
  return (
    <Answered of={answer} height={320}>
      {(report) => (
        <>
          <Numbers report={report} />
          <Panel title="Queries" isFlush actions={<CopyAs path="GET /queries" input={{}} />}>
            <Tabs
              label="Queries"
              value={tab}
              onChange={(next) => setFilters({ tab: next })}
              tabs={[
                {
                  value: 'sessions',
                  label: 'Sessions',
                  content: (
                    <DataTable
                      label="Sessions"
                      columns={sessionColumns}
                      rows={report.sessions}
                      rowKey={({ pid }) => String(pid)}
                      maxHeight={560}
                      empty={<Empty title="Nobody else is connected" icon={Timer} command="npx tidemark db psql" />}
                    />
                  ),
                },
                {
                  value: 'statements',
                  label: 'Statements',
                  content: report.statements ? (
                    <DataTable
                      label="Statements"
                      columns={statementColumns}
                      rows={report.statements}
                      rowKey={({ id }) => id}
                      onOpen={({ query }) => setFilters({ tab: 'explain', sql: query })}
                      maxHeight={560}
                      empty={<NoStatements />}
                    />
                  ) : (
                    <NoStatements />
                  ),
                },
                {
                  value: 'locks',
                  label: 'Locks',
                  count: report.locks.filter(({ isGranted }) => !isGranted).length,
                  content: (
                    <DataTable
                      label="Locks"
                      columns={lockColumns}
                      rows={report.locks}
                      rowKey={({ pid, table, mode, isGranted }) => `${pid} ${table} ${mode} ${isGranted}`}
                      maxHeight={560}
                      empty={
                        <Empty
                          title="No table is locked"
                          icon={Lock}
                          command="npx tidemark db psql --command 'select * from pg_locks'"
                        >
                          <p>What only reads is left out.</p>
                        </Empty>
                      }
                    />
                  ),
                },
                {
                  value: 'pools',
                  label: 'Pools',
                  content: <DataTable label="Pools" columns={poolColumns} rows={report.pools} rowKey={({ name }) => name} />,
                },
                {
                  value: 'explain',
                  label: 'Explain',
                  content: (
                    <Explain key={sql ?? ''} given={sql ?? ''} role={role} onRole={(next) => setFilters({ role: next })} />
                  ),
                },
              ]}
            />
          </Panel>
        </>
      )}
    </Answered>
  )
}

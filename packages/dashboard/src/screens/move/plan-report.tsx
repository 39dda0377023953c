import type { Hazard, JobView, MovePlan, ObjectDecision, TablePlan } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { bytes, count, counted, duration, shellWord } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Figure, Figures } from '../../parts/figures.tsx'
import { Status, type StatusKind } from '../../parts/status.tsx'

const severities: Readonly<Record<Hazard['severity'], StatusKind>> = { info: 'info', warning: 'warn', loss: 'bad' }
const severityWords: Readonly<Record<Hazard['severity'], string>> = {
  info: 'Note',
  warning: 'Warning',
  loss: 'Rows would be left out',
}

const Hazards = ({ hazards }: Pick<MovePlan, 'hazards'>) => (
  <ul className="stack">
    {hazards.map((hazard) => (
      <li key={`${hazard.code} ${hazard.table} ${hazard.column}`} className="difference">
        <div className="row">
          <Status kind={severities[hazard.severity]}>{severityWords[hazard.severity]}</Status>
          <code className="wrap-anywhere">{hazard.column === null ? hazard.table : `${hazard.table}.${hazard.column}`}</code>
          <span className="dim numbers">{counted(hazard.count, 'row')}</span>
        </div>
        <p>{hazard.message}</p>
        <p className="dim">{hazard.suggestion}</p>
        {hazard.keys.length > 0 && <p className="dim wrap-anywhere">First: {hazard.keys.slice(0, 3).join('; ')}</p>}
      </li>
    ))}
  </ul>
)

const objectColumns: readonly Column<ObjectDecision>[] = [
  {
    name: 'outcome',
    title: 'Outcome',
    width: '130px',
    cell: ({ outcome }) => (
      <Status kind={outcome === 'notCarried' ? 'warn' : 'ok'}>{outcome === 'notCarried' ? 'not carried' : outcome}</Status>
    ),
  },
  { name: 'type', title: 'Kind', width: '110px', cell: ({ type }) => type },
  {
    name: 'name',
    title: 'Name',
    width: 'minmax(150px, 1fr)',
    cell: ({ table, name }) => <code>{table === null ? name : `${table}: ${name}`}</code>,
  },
  {
    name: 'why',
    title: 'Why',
    width: 'minmax(260px, 2fr)',
    cell: ({ why, suggestion }) => <span title={suggestion ?? why}>{why}</span>,
  },
]

const tableColumns: readonly Column<TablePlan>[] = [
  { name: 'source', title: 'Table', width: 'minmax(140px, 1fr)', cell: ({ source }) => <code>{source}</code> },
  {
    name: 'target',
    title: 'Becomes',
    width: 'minmax(140px, 1fr)',
    cell: ({ targetSchema, target }) => <code>{`${targetSchema}.${target}`}</code>,
  },
  { name: 'rows', title: 'Rows', width: '96px', align: 'end', cell: ({ rows }) => count(rows) },
  {
    name: 'columns',
    title: 'Columns',
    width: 'minmax(260px, 3fr)',
    cell: ({ columns }) => {
      const text = columns.map(({ target, targetType }) => `${target} ${targetType}`).join(', ')
      return <span title={text}>{text}</span>
    },
  },
]

const Report = ({ plan }: { readonly plan: MovePlan }) => {
  const losses = plan.hazards.filter(({ severity }) => severity === 'loss').length
  const left = plan.objects.filter(({ outcome }) => outcome === 'notCarried')
  const order = { notCarried: 0, translated: 1, kept: 2 } as const
  return (
    <div className="stack">
      <Figures label="The plan">
        <Figure label="Tables" value={count(plan.totals.tables)} />
        <Figure label="Rows" value={count(plan.totals.rows)} />
        <Figure label="Size" value={bytes(plan.totals.bytes)} />
        <Figure label="The copy takes about" value={duration(plan.totals.estimatedMs)} />
        <Figure label="Hazards" value={count(plan.hazards.length)}>
          <Status kind={losses > 0 ? 'bad' : plan.hazards.length > 0 ? 'warn' : 'ok'}>
            {losses > 0
              ? `${losses} would leave rows behind`
              : plan.hazards.length > 0
                ? 'none loses a row'
                : 'nothing in the way'}
          </Status>
        </Figure>
        <Figure label="Not carried" value={count(left.length)}>
          {counted(plan.objects.length, 'object')} in all
        </Figure>
      </Figures>
      {plan.hazards.length > 0 && (
        <>
          <h3>Hazards in the data</h3>
          <Hazards hazards={plan.hazards} />
        </>
      )}
      <h3>Tables</h3>
      <DataTable
        label="Planned tables"
        columns={tableColumns}
        rows={plan.tables}
        rowKey={({ source }) => source}
        maxHeight={360}
      />
      <h3>Keys, indexes, constraints, views, triggers</h3>
      <DataTable
        label="Planned objects"
        columns={objectColumns}
        rows={plan.objects.toSorted((a, b) => order[a.outcome] - order[b.outcome])}
        rowKey={({ type, table, name }) => `${type} ${table} ${name}`}
        maxHeight={360}
        empty={<p className="dim">There are none.</p>}
      />
    </div>
  )
}

const PlanOfJob = ({ id }: { readonly id: string }) => {
  const answer = useAnswer('GET /jobs/:id', { params: { id } })
  return <Answered of={answer}>{({ result }) => (result === null ? null : <Report plan={result as MovePlan} />)}</Answered>
}

/** The newest plan that this server made of the file. */
export const planJobOf = (jobs: readonly JobView[]): JobView | undefined =>
  jobs.find(({ kind, state }) => kind === 'move.plan' && state === 'succeeded')

/** What was decided for every table, column and object, and what stands in the data's way. */
export const PlanReport = ({ jobs, file }: { readonly jobs: readonly JobView[]; readonly file: string }) => {
  const job = planJobOf(jobs)
  return job ? (
    <PlanOfJob id={job.job} />
  ) : (
    <Empty title="This server has made no plan of the file yet" command={`npx tidemark move plan ${shellWord(file)}`}>
      <p>
        A plan reads the file and changes nothing. It says what becomes of each table, column and object, and what stands in the
        way.
      </p>
    </Empty>
  )
}

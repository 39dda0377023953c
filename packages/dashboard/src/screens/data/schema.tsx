import { GitCompare, ListChecks, ShieldCheck } from 'lucide-react'
import type { ExposureFinding, MigrationStatus, SchemaDifference } from 'tidemark/admin'
import { useAction, useAnswer } from '../../api/use-answer.ts'
import { count, counted } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button } from '../../parts/button.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { Command } from '../../parts/copy-text.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { ErrorNote } from '../../parts/error-note.tsx'
import { Note } from '../../parts/note.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { Status, type StatusKind } from '../../parts/status.tsx'

const kinds: Readonly<Record<string, StatusKind>> = { applied: 'ok', pending: 'warn' }

const migrationColumns: readonly Column<MigrationStatus>[] = [
  { name: 'state', title: 'State', width: '130px', cell: ({ state }) => <Status kind={kinds[state] ?? 'bad'}>{state}</Status> },
  { name: 'source', title: 'Source', width: '160px', cell: ({ source }) => source },
  { name: 'version', title: 'Version', width: '160px', cell: ({ version }) => <code>{version}</code> },
  { name: 'name', title: 'Name', width: 'minmax(180px, 1fr)', cell: ({ name }) => <strong>{name}</strong> },
  {
    name: 'at',
    title: 'Applied',
    width: '130px',
    cell: ({ appliedAt }) => (appliedAt === null ? '' : <Since at={String(appliedAt)} />),
  },
]

export const Migrations = () => {
  const answer = useAnswer('GET /schema/status', {})
  return (
    <Panel title="Migrations" isFlush actions={<CopyAs path="GET /schema/status" input={{}} cli="npx tidemark schema status" />}>
      <Answered of={answer}>
        {({ migrations, pending }) => (
          <>
            {pending > 0 && (
              <div className="panel-line stack">
                <Note kind="warn">
                  {counted(pending, 'migration waits', 'migrations wait')}: this database is older than its files.
                </Note>
                <Command text="npx tidemark schema up" />
              </div>
            )}
            <DataTable
              label="Migrations"
              columns={migrationColumns}
              rows={[...migrations].reverse()}
              rowKey={({ source, version }) => `${source} ${version}`}
              maxHeight={620}
              empty={<Empty title="There are no migrations" icon={ListChecks} command="npx tidemark schema status" />}
            />
          </>
        )}
      </Answered>
    </Panel>
  )
}

const states: Readonly<Record<SchemaDifference['state'], readonly [kind: StatusKind, words: string]>> = {
  extra: ['warn', 'in the database only'],
  missing: ['bad', 'in the files only'],
  changed: ['warn', 'differs'],
}

const differenceColumns: readonly Column<SchemaDifference>[] = [
  {
    name: 'state',
    title: 'State',
    width: '180px',
    cell: ({ state }) => <Status kind={states[state][0]}>{states[state][1]}</Status>,
  },
  { name: 'kind', title: 'Kind', width: '120px', cell: ({ kind }) => kind },
  {
    name: 'object',
    title: 'Object',
    width: 'minmax(220px, 1fr)',
    cell: ({ schema, parent, name }) => (
      <code>{[schema, parent, name].filter((part) => part !== null && part !== '').join('.')}</code>
    ),
  },
  {
    name: 'attributes',
    title: 'Database, and files',
    width: 'minmax(260px, 2fr)',
    cell: ({ attributes }) => {
      const text = attributes.map(({ attribute, database, files }) => `${attribute}: ${database}, in files ${files}`).join('; ')
      return <span title={text}>{text}</span>
    },
  },
]

/** A comparison builds the files' schema in a database of its own, so it begins by hand. */
export const Drift = () => {
  const compare = useAction('POST /schema/diff')
  const { data, error, isPending } = compare
  return (
    <Panel
      title="Drift"
      isFlush={data !== undefined && data.differences.length > 0}
      actions={
        <>
          <CopyAs path="POST /schema/diff" input={{ body: {} }} cli="npx tidemark schema diff" />
          <Button icon={GitCompare} kind="primary" isBusy={isPending} onClick={() => compare.mutate({ body: {} })}>
            Compare
          </Button>
        </>
      }
    >
      {error && <ErrorNote error={error} />}
      {data === undefined && !error && (
        <Empty title="Not compared yet" icon={GitCompare} command="npx tidemark schema diff">
          <p>
            Compares what this database is with what the migration files make. The files are run in a database of their own, which
            takes some seconds.
          </p>
        </Empty>
      )}
      {data && data.differences.length === 0 && <Note kind="ok">The database is what its files make.</Note>}
      {data && data.differences.length > 0 && (
        <DataTable
          label="Differences"
          columns={differenceColumns}
          rows={data.differences}
          rowKey={(one) => [one.kind, one.schema, one.parent, one.name, one.state].join(' ')}
          maxHeight={620}
        />
      )}
    </Panel>
  )
}

const Finding = ({ finding }: { readonly finding: ExposureFinding }) => (
  <li className="difference">
    <div className="row">
      <Status kind={finding.level === 'error' ? 'bad' : 'warn'}>{finding.level === 'error' ? 'open' : 'look at it'}</Status>
      <code>{finding.object}</code>
      <span className="dim">{finding.roles.join(', ')}</span>
    </div>
    <p>{finding.why}</p>
    <Command text={finding.fix} />
  </li>
)

/** What callers reach and should not. */
export const Exposure = () => {
  const answer = useAnswer('POST /schema/check', { body: {} })
  return (
    <Panel
      title="What callers reach"
      actions={<CopyAs path="POST /schema/check" input={{ body: {} }} cli="npx tidemark schema check" />}
    >
      <Answered of={answer}>
        {({ findings, schemas, ok }) =>
          findings.length === 0 ? (
            <Empty title="Nothing is open that should not be" icon={ShieldCheck} command="npx tidemark schema check">
              <p>Looked at: {schemas.join(', ')}.</p>
            </Empty>
          ) : (
            <div className="stack">
              <Note kind={ok ? 'warn' : 'bad'}>
                {ok ? 'No rows stand open.' : 'Rows are open to whom they should not be.'} {counted(findings.length, 'finding')}{' '}
                in {schemas.join(', ')}, {count(findings.filter(({ level }) => level === 'error').length)} of them open.
              </Note>
              <ul className="stack">
                {[...findings]
                  .sort((a, b) => (a.level < b.level ? -1 : a.level > b.level ? 1 : 0))
                  .map((finding) => (
                    <Finding key={`${finding.code} ${finding.object} ${finding.roles.join()}`} finding={finding} />
                  ))}
              </ul>
            </div>
          )
        }
      </Answered>
    </Panel>
  )
}

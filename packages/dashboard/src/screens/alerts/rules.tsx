import type { RuleView } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { duration } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Status, type StatusKind } from '../../parts/status.tsx'

const severities: Readonly<Record<string, StatusKind>> = { info: 'info', warning: 'warn', error: 'bad', critical: 'bad' }

const columns: readonly Column<RuleView>[] = [
  { name: 'name', title: 'Rule', width: 'minmax(170px, 1fr)', cell: ({ name }) => <strong>{name}</strong> },
  {
    name: 'severity',
    title: 'Severity',
    width: '110px',
    cell: ({ severity }) => <Status kind={severities[severity] ?? 'info'}>{severity}</Status>,
  },
  { name: 'says', title: 'Says', width: 'minmax(240px, 3fr)', cell: ({ says }) => <span title={says}>{says}</span> },
  {
    name: 'for',
    title: 'Holds for',
    width: '96px',
    align: 'end',
    cell: ({ forMs }) => (forMs === 0 ? 'at once' : duration(forMs)),
  },
  {
    name: 'every',
    title: 'Looked at',
    width: '110px',
    align: 'end',
    cell: ({ everyMs }) => (everyMs === 0 ? 'each turn' : `every ${duration(everyMs)}`),
  },
]

/** What is watched. */
export const Rules = () => {
  const answer = useAnswer('GET /alerts/rules', {})
  return (
    <Answered of={answer}>
      {({ rules }) => (
        <DataTable
          label="Rules"
          columns={columns}
          rows={rules}
          rowKey={({ name }) => name}
          empty={<p className="dim">There are none.</p>}
        />
      )}
    </Answered>
  )
}

import { CircleCheck } from 'lucide-react'
import type { MoveReject } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { shellWord } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Status } from '../../parts/status.tsx'

const columns: readonly Column<MoveReject>[] = [
  { name: 'table', title: 'Table', width: 'minmax(120px, 1fr)', cell: ({ table }) => <code>{table}</code> },
  { name: 'key', title: 'Row', width: 'minmax(120px, 1fr)', cell: ({ key }) => <code>{key}</code> },
  { name: 'column', title: 'Column', width: 'minmax(100px, 1fr)', cell: ({ column }) => <code>{column ?? ''}</code> },
  { name: 'reason', title: 'Reason', width: 'minmax(240px, 3fr)', cell: ({ reason }) => <span title={reason}>{reason}</span> },
  {
    name: 'outcome',
    title: 'Outcome',
    width: '190px',
    cell: ({ outcome, allowed }) => (
      <Status kind={allowed ? 'info' : 'bad'}>
        {outcome === 'rowRejected' ? 'row left out' : 'value replaced'}
        {allowed ? ', by choice' : ''}
      </Status>
    ),
  },
]

/** Rows and values that could not be carried as they are. */
export const Rejects = ({ file }: { readonly file: string }) => {
  const answer = useAnswer('GET /move/rejects', { query: { file, limit: 1000 } }, { everyMs: 5_000 })
  return (
    <Answered of={answer}>
      {({ rejects }) => (
        <DataTable
          label="Rejected rows and values"
          columns={columns}
          rows={rejects}
          rowKey={(one) => `${one.table} ${one.key} ${one.column} ${one.reason}`}
          empty={
            <Empty
              title="Nothing was left behind"
              icon={CircleCheck}
              command={`npx tidemark move status ${shellWord(file)} --rejects`}
            >
              <p>A value that Postgres cannot hold is set aside here with its table, key, column and reason. None was.</p>
            </Empty>
          }
        />
      )}
    </Answered>
  )
}

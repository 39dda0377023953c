import type { BoardTable } from 'tidemark/admin'
import { count } from '../../format/format.ts'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Meter } from '../../parts/meter.tsx'
import { Status } from '../../parts/status.tsx'

const share = (part: number, whole: number): number => (whole === 0 ? 1 : part / whole)

const columns: readonly Column<BoardTable>[] = [
  { name: 'table', title: 'Table', width: 'minmax(140px, 2fr)', cell: ({ table }) => <code>{table}</code> },
  { name: 'rows', title: 'Rows', width: '96px', align: 'end', cell: ({ rows }) => count(rows) },
  {
    name: 'copied',
    title: 'Copied',
    width: 'minmax(130px, 1fr)',
    cell: ({ table, rows, copied, rejected, done }) => (
      <Meter label={`${table}: copied`} share={done ? 1 : share(Number(copied) + Number(rejected), rows)} />
    ),
  },
  {
    name: 'compared',
    title: 'Compared',
    width: 'minmax(130px, 1fr)',
    cell: ({ table, rows, checked, compared, differences }) => (
      <Meter
        label={`${table}: compared`}
        share={compared ? 1 : Math.min(share(checked, rows), 0.99)}
        kind={differences > 0 ? 'bad' : compared ? 'ok' : 'plain'}
      />
    ),
  },
  { name: 'rejected', title: 'Rejected', width: '88px', align: 'end', cell: ({ rejected }) => count(Number(rejected)) },
  {
    name: 'state',
    title: 'State',
    width: 'minmax(150px, 1fr)',
    cell: ({ done, compared, differences }) =>
      differences > 0 ? (
        <Status kind="bad">{count(differences)} differ</Status>
      ) : compared ? (
        <Status kind="ok">copied and compared</Status>
      ) : done ? (
        <Status kind="info">copied</Status>
      ) : (
        <Status kind="busy">copying</Status>
      ),
  },
]

export const Tables = ({ tables }: { readonly tables: readonly BoardTable[] }) => (
  <DataTable label="Tables of the move" columns={columns} rows={tables} rowKey={({ table }) => table} maxHeight={560} />
)

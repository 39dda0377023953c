import type { BoardTable } from 'tidemark/admin'
import { compact, count, duration } from '../../format/format.ts'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Meter } from '../../parts/meter.tsx'
import { Status } from '../../parts/status.tsx'
import { rateOf, type Sample, throughOf, timeLeft } from './rates.ts'

const share = (part: number, whole: number): number => (whole === 0 ? 1 : part / whole)

const rateOfTable = (samples: readonly Sample[], { table, compared }: BoardTable): number | null =>
  compared ? null : rateOf(samples, ({ tables }) => tables[table] ?? 0)

/** How fast, and how long still: of what the table is at. */
const paceColumns = (samples: readonly Sample[]): readonly Column<BoardTable>[] => [
  {
    name: 'rate',
    title: 'Rows a second',
    width: '116px',
    align: 'end',
    cell: (table) => {
      const rate = rateOfTable(samples, table)
      return rate === null || rate === 0 ? '' : compact(Math.round(rate))
    },
  },
  {
    name: 'left',
    title: 'Left',
    width: '104px',
    align: 'end',
    cell: (table) => {
      const left = timeLeft(table.rows, throughOf(table), rateOfTable(samples, table))
      return table.compared || left === null || left === 0 ? '' : duration(left)
    },
  },
]

const columns: readonly Column<BoardTable>[] = [
  { name: 'table', title: 'Table', width: 'minmax(140px, 2fr)', cell: ({ table }) => <code>{table}</code> },
  { name: 'rows', title: 'Rows', width: '96px', align: 'end', cell: ({ rows }) => count(rows) },
  {
    name: 'copied',
    title: 'Copied',
    width: 'minmax(90px, 1fr)',
    cell: ({ table, rows, copied, rejected, done }) => (
      <Meter label={`${table}: copied`} share={done ? 1 : share(Number(copied) + Number(rejected), rows)} />
    ),
  },
  {
    name: 'compared',
    title: 'Compared',
    width: 'minmax(90px, 1fr)',
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
    width: 'minmax(176px, 1fr)',
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

interface TablesProps {
  readonly tables: readonly BoardTable[]
  readonly samples: readonly Sample[]
}

export const Tables = ({ tables, samples }: TablesProps) => (
  <DataTable
    label="Tables of the move"
    columns={[
      ...columns.slice(0, 4),
      // Nothing has a pace when everything is through.
      ...(tables.every(({ compared }) => compared) ? [] : paceColumns(samples)),
      ...columns.slice(4),
    ]}
    rows={tables}
    rowKey={({ table }) => table}
    maxHeight={560}
  />
)

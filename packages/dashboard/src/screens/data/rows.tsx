import { Table2 } from 'lucide-react'
import { useEffect, useMemo } from 'react'
import type { DataTableInfo } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { viewpointOf } from '../../api/viewpoint.ts'
import { compact, count } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { Empty } from '../../parts/empty.tsx'
import { ErrorNote } from '../../parts/error-note.tsx'
import { SelectField } from '../../parts/field.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Status } from '../../parts/status.tsx'
import { Conditions } from './conditions.tsx'
import { conditionsOf, useDataFilters } from './data-filters.ts'
import { type Pages, usePages } from './use-pages.ts'

const stayMs = 60

interface CellProps {
  readonly pages: Pages
  readonly index: number
  readonly at: number
}

const Cell = ({ pages, index, at }: CellProps) => {
  const { want } = pages
  // The first cell stands for its row. What flies by is not asked for.
  useEffect(() => {
    if (at !== 0) return
    const stayed = setTimeout(() => want(index), stayMs)
    return () => clearTimeout(stayed)
  }, [at, index, want])
  const row = pages.rowAt(index)
  if (!row) return <span className="dim">…</span>
  const value = row[at] ?? null
  return value === null ? <em className="dim">null</em> : <span title={value}>{value}</span>
}

const numeric = /^(smallint|integer|bigint|numeric|real|double precision)/

const valueWidths: readonly (readonly [type: RegExp, px: number])[] = [
  [numeric, 120],
  [/^uuid$/, 310],
  [/^(timestamp|date)/, 262],
  [/^boolean$/, 90],
]

/** Room for a value of the type, and for the name above it. */
const widthOf = ({ name, type }: DataTableInfo['columns'][number]): string => {
  const least = (px: number): string => `max(${px}px, ${name.length + 4}ch)`
  const fixed = valueWidths.find(([each]) => each.test(type))?.[1]
  return fixed === undefined ? `minmax(${least(160)}, 320px)` : least(fixed)
}

const ordersOf = ({ columns }: DataTableInfo): readonly (readonly [string, string])[] => [
  ['', 'Its key'],
  ...columns.flatMap(({ name }): readonly (readonly [string, string])[] => [
    [name, `${name}, up`],
    [`${name}.desc`, `${name}, down`],
  ]),
]

const WholeRow = ({
  table,
  query,
  index,
  onClose,
}: {
  readonly table: DataTableInfo
  readonly query: Parameters<typeof usePages>[0]
  readonly index: number
  readonly onClose: () => void
}) => {
  const answer = useAnswer('GET /data/rows', { query: { ...query, offset: index, limit: 1, whole: 'true' } })
  return (
    <Dialog
      title={`${table.schema}.${table.name}`}
      description={`Row ${count(index + 1)} of this list`}
      isOpen
      isWide
      onClose={onClose}
    >
      <Answered of={answer}>
        {({ columns, rows }) =>
          rows[0] ? (
            <dl className="pairs">
              {columns.map((name, at) => (
                <div className="pair" key={name}>
                  <dt>{name}</dt>
                  <dd>{rows[0]?.[at] == null ? <em className="dim">null</em> : <span className="pre">{rows[0][at]}</span>}</dd>
                </div>
              ))}
            </dl>
          ) : (
            <p className="dim">It is not there any more.</p>
          )
        }
      </Answered>
    </Dialog>
  )
}

/** The rows of one table, however many there are. */
export const Rows = ({ table }: { readonly table: DataTableInfo }) => {
  const [filters, setFilters] = useDataFilters()
  const conditions = conditionsOf(filters.where)
  const target = {
    ...viewpointOf(filters),
    schema: table.schema,
    table: table.name,
    ...(conditions.length > 0 && { where: JSON.stringify(conditions) }),
  }
  const query = { ...target, ...(filters.sort !== undefined && { sort: filters.sort }) }
  const counted = useAnswer('GET /data/count', { query: target })
  const pages = usePages(query)
  const total = counted.data?.rows ?? 0
  // The table asks for the row at a place, and each place is its own row.
  const places = useMemo(() => Array.from({ length: total }, (_none, n) => n), [total])
  const columns: readonly Column<number>[] = table.columns.map((column, at) => ({
    name: column.name,
    title: column.name,
    width: widthOf(column),
    align: numeric.test(column.type) ? 'end' : 'start',
    cell: (index) => <Cell pages={pages} index={index} at={at} />,
  }))
  const open = filters.row === undefined ? undefined : Number(filters.row)
  return (
    <Panel title={`${table.schema}.${table.name}`} isFlush actions={<CopyAs path="GET /data/rows" input={{ query }} />}>
      <div className="panel-line row">
        <Status kind={table.rowSecurity ? 'ok' : 'warn'}>
          {table.rowSecurity
            ? `row security with ${table.policies} ${table.policies === 1 ? 'policy' : 'policies'}`
            : table.kind === 'view'
              ? 'a view'
              : 'no row security'}
        </Status>
        {counted.data && (
          <span className="dim">
            {count(counted.data.rows)}
            {counted.data.isMore && '+'} {counted.data.rows === 1 ? 'row' : 'rows'}
            {table.estimate > 0 && `, about ${compact(table.estimate)} in all`}
          </span>
        )}
      </div>
      <div className="panel-line viewpoint">
        <SelectField
          label="Order"
          value={filters.sort ?? ''}
          options={ordersOf(table)}
          onChange={(event) => setFilters({ sort: event.target.value || undefined, row: undefined })}
        />
      </div>
      <Conditions key={`${table.schema}.${table.name}`} table={table} />
      {pages.error && <ErrorNote error={pages.error} onRetry={pages.retry} />}
      <Answered of={counted} height={320}>
        {() => (
          <DataTable
            key={JSON.stringify(query)}
            label={`Rows of ${table.schema}.${table.name}`}
            columns={columns}
            rows={places}
            rowKey={String}
            onOpen={(index) => setFilters({ row: String(index) })}
            openKey={filters.row}
            maxHeight={620}
            rowHeight={32}
            isFast
            empty={
              <Empty
                title="No row is seen this way"
                icon={Table2}
                act={conditions.length > 0 ? 'Take a filter away, or look as another role above.' : 'Look as another role above.'}
              >
                <p>Either there is none that fits, or no policy shows one to {filters.role}.</p>
              </Empty>
            }
          />
        )}
      </Answered>
      {open !== undefined && Number.isSafeInteger(open) && open >= 0 && (
        <WholeRow table={table} query={query} index={open} onClose={() => setFilters({ row: undefined })} />
      )}
    </Panel>
  )
}

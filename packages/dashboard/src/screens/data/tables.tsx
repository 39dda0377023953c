import { Database } from 'lucide-react'
import { type KeyboardEvent, useState } from 'react'
import type { DataTableInfo } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAnswer } from '../../api/use-answer.ts'
import { viewpointOf } from '../../api/viewpoint.ts'
import { compact } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { step } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { FilterField } from '../../parts/filter-field.tsx'
import { Note } from '../../parts/note.tsx'
import { Panel } from '../../parts/panel.tsx'
import { useDataFilters } from './data-filters.ts'
import { Rows } from './rows.tsx'
import { Viewpoint } from './viewpoint.tsx'

const nameOf = ({ schema, name }: DataTableInfo): string => `${schema}.${name}`

const List = ({ tables, chosen }: { readonly tables: readonly DataTableInfo[]; readonly chosen: string | undefined }) => {
  const [{ find = '' }, setFilters] = useDataFilters()
  const [active, setActive] = useState(chosen)
  const shown = tables.filter((table) => nameOf(table).toLowerCase().includes(find.trim().toLowerCase()))
  const tabbed = shown.find((table) => nameOf(table) === active) ?? shown[0]
  // One stop for the keyboard, however many tables there are: arrows go from one to the next.
  const pressed = (event: KeyboardEvent<HTMLUListElement>): void => {
    const buttons = [...event.currentTarget.querySelectorAll('button')]
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement)
    const next = step(event.key, at, buttons.length - 1)
    if (next === undefined) return
    event.preventDefault()
    buttons[next]?.focus()
  }
  return (
    <div className="stack table-list">
      <FilterField label="Find a table" value={find} onChange={(next) => setFilters({ find: next })} />
      <ul aria-label="Tables" onKeyDown={pressed}>
        {shown.map((table) => (
          <li key={nameOf(table)}>
            <button
              type="button"
              tabIndex={table === tabbed ? 0 : -1}
              onFocus={() => setActive(nameOf(table))}
              aria-current={nameOf(table) === chosen || undefined}
              onClick={() => setFilters({ table: nameOf(table), sort: undefined, where: undefined, row: undefined })}
            >
              <span>
                {table.schema !== 'public' && <span className="dim">{table.schema}.</span>}
                {table.name}
              </span>
              <span className="dim">{table.kind === 'view' ? 'view' : compact(table.estimate)}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** Every table that a role sees, and its rows as that role sees them. */
export const Tables = () => {
  const [filters] = useDataFilters()
  const mayLook = useMay('operator')
  const answer = useAnswer('GET /data/tables', { query: viewpointOf(filters) }, { enabled: mayLook })
  if (!mayLook) return <Note kind="warn">Rows are those of people: this needs the role operator.</Note>
  return (
    <div className="stack">
      <Panel title="Viewpoint" isFlush>
        <Viewpoint />
      </Panel>
      <Answered of={answer} height={320}>
        {({ tables }) => {
          const table = tables.find((each) => nameOf(each) === filters.table)
          if (tables.length === 0)
            return (
              <Empty title={`${filters.role} sees no table`} icon={Database} command="npx tidemark schema up">
                <p>Nothing is granted to this role. Migrations make tables and grant them; another role may see more.</p>
              </Empty>
            )
          return (
            <div className="beside">
              <List tables={tables} chosen={filters.table} />
              <div>
                {table ? (
                  <Rows key={`${nameOf(table)} ${JSON.stringify(viewpointOf(filters))}`} table={table} />
                ) : (
                  <Empty
                    title={filters.table === undefined ? 'Choose a table' : `${filters.role} does not see ${filters.table}`}
                    icon={Database}
                    act="Choose one of the list."
                  >
                    <p>Rows are read under row security, as the role above sees them. Nothing can be written here.</p>
                  </Empty>
                )}
              </div>
            </div>
          )
        }}
      </Answered>
    </div>
  )
}

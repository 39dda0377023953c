import { Plus, X } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import type { DataCondition, DataTableInfo } from 'tidemark/admin'
import { Button, IconButton } from '../../parts/button.tsx'
import { SelectField, TextField } from '../../parts/field.tsx'
import { conditionsOf, operators, useDataFilters } from './data-filters.ts'

const signs: Readonly<Record<DataCondition[1], string>> = {
  eq: 'is equal to',
  neq: 'is not',
  gt: 'is above',
  gte: 'is at least',
  lt: 'is below',
  lte: 'is at most',
  like: 'is like (% stands for anything)',
  ilike: 'is like, in any case',
  is: 'is null, or not null',
}

/** What rows have to fit. It stands in the address. */
export const Conditions = ({ table }: { readonly table: DataTableInfo }) => {
  const [filters, setFilters] = useDataFilters()
  const given = conditionsOf(filters.where)
  const [column, setColumn] = useState(table.columns[0]?.name ?? '')
  const [operator, setOperator] = useState<DataCondition[1]>('eq')
  const [value, setValue] = useState('')
  const put = (next: readonly DataCondition[]): void =>
    setFilters({ where: next.length === 0 ? undefined : JSON.stringify(next), row: undefined })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    put([...given, [column, operator, operator === 'is' && value === '' ? 'null' : value]])
    setValue('')
  }
  return (
    <div className="panel-line stack">
      <form className="conditions" onSubmit={submit}>
        <SelectField
          label="Column"
          value={column}
          options={table.columns.map(({ name }) => [name, name] as const)}
          onChange={(event) => setColumn(event.target.value)}
        />
        <SelectField
          label="Compared"
          value={operator}
          options={operators.map((each) => [each, signs[each]] as const)}
          onChange={(event) => setOperator(event.target.value as DataCondition[1])}
        />
        <TextField label="Value" value={value} onChange={(event) => setValue(event.target.value)} />
        <Button type="submit" icon={Plus}>
          Add filter
        </Button>
      </form>
      {given.length > 0 && (
        <ul className="row" aria-label="Filters">
          {given.map((each, at) => (
            <li className="chip" key={JSON.stringify([each, at])}>
              <code>{each[0]}</code> {signs[each[1]].replace(/ \(.*/, '')} <code>{each[2]}</code>
              <IconButton
                icon={X}
                label={`Remove the filter on ${each[0]}`}
                onClick={() => put(given.filter((_one, n) => n !== at))}
              />
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}

import { Tabs } from '../../parts/tabs.tsx'
import { useDataFilters } from './data-filters.ts'
import { Drift, Exposure, Migrations } from './schema.tsx'
import { Tables } from './tables.tsx'
import './data.css'

/** Rows under row security, and whether the schema is what it should be. */
export const DataScreen = () => {
  const [{ tab }, setFilters] = useDataFilters()
  return (
    <Tabs
      label="Data and schema"
      value={tab}
      onChange={(next) => setFilters({ tab: next, row: undefined })}
      tabs={[
        { value: 'tables', label: 'Tables', content: <Tables /> },
        { value: 'migrations', label: 'Migrations', content: <Migrations /> },
        { value: 'drift', label: 'Drift', content: <Drift /> },
        { value: 'exposure', label: 'Exposure', content: <Exposure /> },
      ]}
    />
  )
}

import { roles } from '../../api/viewpoint.ts'
import { jsonOf, textOf, useFilters, wordOf } from '../../shell/filters.ts'
import type { Inspected } from './use-inspection.ts'

const kinds = ['public', 'private'] as const

/** What the inspector's form begins with. It joins only when somebody says so. */
const read = (search: Readonly<Record<string, unknown>>) => ({
  topic: textOf(search['topic']),
  kind: wordOf(search['kind'], kinds),
  role: wordOf(search['role'], roles),
  user: textOf(search['user']),
  claims: jsonOf(search['claims']),
  tables: textOf(search['tables']),
})

export const useRealtimeFilters = () => {
  const [{ kind, topic = '', ...filters }, setFilters] = useFilters(read)
  const inspected: Inspected = { ...filters, topic, private: kind === 'private' }
  const keep = ({ private: isPrivate, ...given }: Inspected): void =>
    setFilters({ ...given, kind: isPrivate ? 'private' : undefined })
  return [inspected, keep] as const
}

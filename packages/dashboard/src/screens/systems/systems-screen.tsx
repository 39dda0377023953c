import { useMay } from '../../api/session.ts'
import { Note } from '../../parts/note.tsx'
import { Tabs } from '../../parts/tabs.tsx'
import { Agents } from './agents.tsx'
import { Chat } from './chat.tsx'
import { Leads } from './leads.tsx'
import { useSystemsFilters } from './systems-filters.ts'
import { Tours } from './tours.tsx'
import { Yarn } from './yarn.tsx'
import './systems.css'

/** The five applications, as an operator sees them. */
export const SystemsScreen = () => {
  const [{ system }, setFilters] = useSystemsFilters()
  if (!useMay('operator'))
    return <Note kind="warn">What the applications keep is about people: this needs the role operator.</Note>
  return (
    <Tabs
      label="Systems"
      value={system}
      onChange={(next) => setFilters({ system: next })}
      tabs={[
        { value: 'tours', label: 'Tours', content: <Tours /> },
        { value: 'leads', label: 'Leads', content: <Leads /> },
        { value: 'yarn', label: 'Yarns', content: <Yarn /> },
        { value: 'chat', label: 'Chats', content: <Chat /> },
        { value: 'agents', label: 'Agents', content: <Agents /> },
      ]}
    />
  )
}

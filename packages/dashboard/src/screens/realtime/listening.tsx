import { useState } from 'react'
import { Channels } from './channels.tsx'
import { Inspector } from './inspector.tsx'
import { useRealtimeFilters } from './realtime-filters.ts'

/** Who listens to what, and what somebody would hear. */
export const Listening = () => {
  const [filters, setFilters] = useRealtimeFilters()
  const [draft, setDraft] = useState(filters)
  return (
    <>
      <Channels onChoose={({ topic, private: isPrivate }) => setDraft((before) => ({ ...before, topic, private: isPrivate }))} />
      <Inspector draft={draft} onDraft={setDraft} onJoin={setFilters} />
    </>
  )
}

import { useState } from 'react'
import { Channels } from './channels.tsx'
import { type Draft, Inspector } from './inspector.tsx'

const nothing: Draft = { topic: '', private: false, role: 'anon', user: undefined, claims: undefined, tables: undefined }

/** Who listens to what, and what somebody would hear. */
export const Listening = () => {
  const [draft, setDraft] = useState(nothing)
  return (
    <>
      <Channels onChoose={({ topic, private: isPrivate }) => setDraft((before) => ({ ...before, topic, private: isPrivate }))} />
      <Inspector draft={draft} onDraft={setDraft} />
    </>
  )
}

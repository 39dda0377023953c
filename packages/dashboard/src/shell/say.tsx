import { createContext, type ReactNode, use, useCallback, useState } from 'react'
import { Note, type NoteKind } from '../parts/note.tsx'

interface Said {
  readonly id: number
  readonly kind: NoteKind
  readonly text: string
}

type Say = (text: string, kind?: NoteKind) => void

const SayContext = createContext<Say>(() => undefined)
const shownMs = 6_000

/** Short words about what was just done; screen readers hear them too. */
export const SayProvider = ({ children }: { readonly children: ReactNode }) => {
  const [said, setSaid] = useState<readonly Said[]>([])
  const say = useCallback<Say>((text, kind = 'ok') => {
    const id = Math.random()
    setSaid((before) => [...before.slice(-2), { id, kind, text }])
    setTimeout(() => setSaid((before) => before.filter((one) => one.id !== id)), shownMs)
  }, [])
  return (
    <SayContext value={say}>
      {children}
      <div className="said" role="status" aria-live="polite">
        {said.map(({ id, kind, text }) => (
          <Note key={id} kind={kind}>
            {text}
          </Note>
        ))}
      </div>
    </SayContext>
  )
}

export const useSay = (): Say => use(SayContext)

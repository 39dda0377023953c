import { CircleCheck, Info, OctagonAlert, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'

export type NoteKind = 'info' | 'ok' | 'warn' | 'bad'

const icons = { info: Info, ok: CircleCheck, warn: TriangleAlert, bad: OctagonAlert } as const
const words = { info: 'Note', ok: 'Done', warn: 'Attention', bad: 'Error' } as const

/** A few sentences that should be seen. Its kind is told by icon and word as well as by colour. */
export const Note = ({ kind = 'info', children }: { readonly kind?: NoteKind; readonly children: ReactNode }) => {
  const Icon = icons[kind]
  return (
    <div className="note" data-kind={kind}>
      <Icon size={16} role="img" aria-label={words[kind]} />
      <div>{children}</div>
    </div>
  )
}

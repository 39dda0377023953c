import { CircleCheck, CircleDashed, Info, LoaderCircle, OctagonAlert, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'

export type StatusKind = 'ok' | 'warn' | 'bad' | 'info' | 'busy' | 'idle'

const icons = {
  ok: CircleCheck,
  warn: TriangleAlert,
  bad: OctagonAlert,
  info: Info,
  busy: LoaderCircle,
  idle: CircleDashed,
} as const

/** A state in words, with an icon of its kind: colour alone says nothing. */
export const Status = ({ kind, children }: { readonly kind: StatusKind; readonly children: ReactNode }) => {
  const Icon = icons[kind]
  return (
    <span className="status" data-kind={kind}>
      <Icon size={14} strokeWidth={2.2} aria-hidden />
      {children}
    </span>
  )
}

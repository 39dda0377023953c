import { Inbox, type LucideIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import { Command } from './copy-text.tsx'

interface Shown {
  readonly title: string
  readonly icon?: LucideIcon
  readonly children?: ReactNode
}

/** What brings something here: commands to run, or, where none can, what to do on the screen. */
type Remedy =
  | { readonly command: string | readonly string[]; readonly act?: never }
  | { readonly act: string; readonly command?: never }

export type EmptyProps = Shown & Remedy

/** Where nothing is there yet: what would be here, and how it comes here. */
export const Empty = ({ title, icon: Icon = Inbox, command = [], act, children }: EmptyProps) => (
  <div className="empty">
    <Icon size={26} strokeWidth={1.5} aria-hidden />
    <h3>{title}</h3>
    {children}
    {act !== undefined && <p>{act}</p>}
    {[command].flat().map((text) => (
      <Command key={text} text={text} />
    ))}
  </div>
)

import { Inbox, type LucideIcon } from 'lucide-react'
import type { ReactNode } from 'react'
import { Command } from './copy-text.tsx'

export interface EmptyProps {
  readonly title: string
  readonly icon?: LucideIcon
  /** What brings something here. */
  readonly command?: string
  readonly children?: ReactNode
}

/** Where nothing is there yet: what would be here, and the command that brings it. */
export const Empty = ({ title, icon: Icon = Inbox, command, children }: EmptyProps) => (
  <div className="empty">
    <Icon size={26} strokeWidth={1.5} aria-hidden />
    <h3>{title}</h3>
    {children}
    {command !== undefined && <Command text={command} />}
  </div>
)

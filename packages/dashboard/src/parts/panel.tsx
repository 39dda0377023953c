import { type ReactNode, useId } from 'react'

export interface PanelProps {
  readonly title: string
  readonly actions?: ReactNode
  /** Without an inner margin, for tables. */
  readonly isFlush?: boolean
  readonly children: ReactNode
}

export const Panel = ({ title, actions, isFlush = false, children }: PanelProps) => {
  const id = useId()
  return (
    <section className="panel" aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {actions}
      </header>
      <div className="body" data-flush={isFlush || undefined}>
        {children}
      </div>
    </section>
  )
}

import type { ReactNode } from 'react'

export const Figures = ({ children, label }: { readonly children: ReactNode; readonly label: string }) => (
  <dl className="figures" aria-label={label}>
    {children}
  </dl>
)

export interface FigureProps {
  readonly label: string
  readonly value: ReactNode
  readonly unit?: string | undefined
  /** A line below: what it is made of, or how it stands. */
  readonly children?: ReactNode
}

/** One number that matters. */
export const Figure = ({ label, value, unit, children }: FigureProps) => (
  <div className="figure">
    <dt>{label}</dt>
    <dd>
      {value}
      {unit !== undefined && <small>{unit}</small>}
    </dd>
    <dd className="under">{children}</dd>
  </div>
)

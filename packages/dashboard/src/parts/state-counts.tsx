import { count } from '../format/format.ts'
import { Status, type StatusKind } from './status.tsx'

export interface StateCountsProps {
  readonly label: string
  readonly counts: Readonly<Record<string, number>>
  readonly kindOf: (state: string) => StatusKind
}

/** How many are in which state, the most first. */
export const StateCounts = ({ label, counts, kindOf }: StateCountsProps) => (
  <ul className="state-counts" aria-label={label}>
    {Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(([state, n]) => (
        <li key={state}>
          <Status kind={kindOf(state)}>{state.replaceAll('_', ' ')}</Status>
          <strong>{count(n)}</strong>
        </li>
      ))}
  </ul>
)

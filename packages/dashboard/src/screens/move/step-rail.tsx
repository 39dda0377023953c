import { Check, Circle, CircleDot, Undo2, X } from 'lucide-react'
import type { Step, StepState } from './steps.ts'

const icons = { done: Check, current: CircleDot, ahead: Circle, open: Undo2, failed: X } as const
const words: Readonly<Record<StepState, string>> = {
  done: 'done',
  current: 'now',
  ahead: 'not yet',
  open: 'possible',
  failed: 'stopped',
}

/** plan → copy → follow → verify → cut over → roll back, and where one is. */
export const StepRail = ({ steps }: { readonly steps: readonly Step[] }) => (
  <ol className="rail" aria-label="Steps of the move">
    {steps.map(({ name, title, state, detail }) => {
      const Icon = icons[state]
      return (
        <li key={name} data-state={state} aria-current={state === 'current' ? 'step' : undefined}>
          <span className="rail-mark">
            <Icon size={14} strokeWidth={2.4} aria-hidden />
          </span>
          <span className="rail-title">
            {title} <span className="rail-word">{words[state]}</span>
          </span>
          <span className="rail-detail">{detail}</span>
        </li>
      )
    })}
  </ol>
)

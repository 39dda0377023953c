import type { ReactNode } from 'react'
import { Panel } from '../../parts/panel.tsx'
import { Status } from '../../parts/status.tsx'

export interface LivePanelProps {
  readonly title: string
  readonly isListening: boolean
  readonly actions?: ReactNode
  readonly children: ReactNode
}

/** A panel that says whether changes come by themselves, or are looked for. */
export const LivePanel = ({ title, isListening, actions, children }: LivePanelProps) => (
  <Panel
    title={title}
    isFlush
    actions={
      <>
        <Status kind={isListening ? 'ok' : 'idle'}>{isListening ? 'by the feed' : 'every 5 s'}</Status>
        {actions}
      </>
    }
  >
    {children}
  </Panel>
)

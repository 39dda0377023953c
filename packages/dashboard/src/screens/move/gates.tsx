import type { Gate, MoveState } from 'tidemark/admin'
import { Panel } from '../../parts/panel.tsx'
import { Status, type StatusKind } from '../../parts/status.tsx'

const kinds: Readonly<Record<Gate['state'], StatusKind>> = { passed: 'ok', waiting: 'busy', refused: 'bad' }
const words: Readonly<Record<Gate['state'], string>> = { passed: 'Passed', waiting: 'Waiting', refused: 'Refused' }

/** What stands between the move and its next switch. */
export const Gates = ({ gates, state }: { readonly gates: readonly Gate[]; readonly state: MoveState }) => (
  <Panel title={state === 'mirroring' ? 'Gates of a rollback' : 'Gates of the cutover'} isFlush>
    <ul className="gates">
      {gates.map((gate) => (
        <li key={gate.name}>
          <Status kind={kinds[gate.state]}>
            <span className="hidden">{words[gate.state]}: </span>
            {gate.title}
          </Status>
          <span className="dim">{gate.detail}</span>
        </li>
      ))}
    </ul>
  </Panel>
)

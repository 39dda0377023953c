import type { MoveStatus } from 'tidemark/admin'
import { Since } from '../../parts/since.tsx'
import { stateWord } from './move-words.ts'

/** How the move came to where it is. */
export const History = ({ move }: { readonly move: MoveStatus }) => (
  <ol className="history">
    {move.history.toReversed().map(({ from, to, epoch, note, at }) => (
      <li key={`${at} ${to}`}>
        <span>
          {stateWord(from)} → <strong>{stateWord(to)}</strong>
        </span>
        <span className="dim">
          <Since at={at} /> · epoch {epoch}
          {note === '' ? '' : ` · ${note}`}
        </span>
      </li>
    ))}
    <li>
      <strong>Begun</strong>
      <span className="dim">
        <Since at={move.startedAt} />
      </span>
    </li>
  </ol>
)

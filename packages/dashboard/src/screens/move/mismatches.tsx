import { CircleCheck } from 'lucide-react'
import type { BoardDifference, MoveStatus } from 'tidemark/admin'
import { count, shellWord } from '../../format/format.ts'
import { Empty } from '../../parts/empty.tsx'
import { Since } from '../../parts/since.tsx'
import { Status } from '../../parts/status.tsx'

const words = { missing: 'missing in Postgres', extra: 'only in Postgres', differs: 'differs' } as const

const Value = ({ value }: { readonly value: string | null }) =>
  value === null ? <span className="dim">nothing</span> : <code className="wrap-anywhere">{value}</code>

const Difference = ({ difference }: { readonly difference: BoardDifference }) => (
  <li className="difference">
    <div className="row">
      <Status kind="bad">{words[difference.state]}</Status>
      <code className="wrap-anywhere">
        {difference.table} · {difference.key}
      </code>
      <span className="dim">
        found <Since at={difference.foundAt} />
      </span>
    </div>
    {difference.reason !== null && <p className="dim">{difference.reason}</p>}
    {difference.columns.length > 0 && (
      <table className="diff">
        <thead>
          <tr>
            <th scope="col">Column</th>
            <th scope="col">SQLite</th>
            <th scope="col">Postgres</th>
          </tr>
        </thead>
        <tbody>
          {difference.columns.map(({ column, source, target }) => (
            <tr key={column}>
              <th scope="row">
                <code>{column}</code>
              </th>
              <td className="diff-source">
                <Value value={source} />
              </td>
              <td className="diff-target">
                <Value value={target} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    )}
  </li>
)

/** Rows that are not the same on both sides, value beside value. */
export const Mismatches = ({
  differences,
  move,
}: {
  readonly differences: readonly BoardDifference[]
  readonly move: MoveStatus
}) =>
  differences.length === 0 ? (
    <Empty title="No row differs" icon={CircleCheck} command={`npx tidemark move status ${shellWord(move.path)}`}>
      <p>
        Rows are compared again and again while the move follows; one that is not alike on both sides is shown here, value beside
        value.
      </p>
    </Empty>
  ) : (
    <>
      {move.checks.differences > differences.length && (
        <p className="dim">
          The first {count(differences.length)} of {count(move.checks.differences)}.
        </p>
      )}
      <ul className="stack">
        {differences.map((difference) => (
          <Difference key={`${difference.table} ${difference.key}`} difference={difference} />
        ))}
      </ul>
    </>
  )

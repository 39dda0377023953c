import type { ToldChange } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { Dialog } from '../../parts/dialog.tsx'
import { Status } from '../../parts/status.tsx'

type Row = Readonly<Record<string, string | null>>

const shown = (row: Row | null, column: string) => {
  if (row === null || !(column in row)) return <span className="dim">–</span>
  const value = row[column]
  return value === null ? <span className="dim">null</span> : <code className="wrap-anywhere">{value}</code>
}

/** The entries of the cache whose rules name the table. */
const Touched = ({ table }: { readonly table: string }) => {
  const { data } = useAnswer('GET /cache/touched', { query: { table } })
  const { data: lag } = useAnswer('GET /feed/lag', {})
  const followers = [...(lag?.node?.followers ?? []).map(({ name }) => name), ...(lag?.followers ?? []).map(({ name }) => name)]
  return (
    <dl className="pairs">
      <dt>Evicts</dt>
      <dd>
        {data === undefined ? '…' : data.entries.length === 0 ? 'no cached entry of this configuration' : data.entries.join(', ')}
      </dd>
      <dt>Goes to</dt>
      <dd>{followers.length === 0 ? 'no follower of this server' : followers.join(', ')}</dd>
    </dl>
  )
}

/** One change: its row before and after, and what it touched. */
export const ChangeDetail = ({ change, onClose }: { readonly change: ToldChange; readonly onClose: () => void }) => {
  const columns = [...new Set([...Object.keys(change.old ?? {}), ...Object.keys(change.new ?? {})])]
  const differs = (column: string): boolean =>
    change.old !== null && change.new !== null && column in change.old && change.old[column] !== change.new[column]
  return (
    <Dialog
      title={`${change.kind} in ${change.table}`}
      description={`Position ${change.position}, transaction ${change.xid}`}
      isOpen
      isWide
      onClose={onClose}
    >
      <Touched table={change.table} />
      <table className="diff">
        <thead>
          <tr>
            <th scope="col">Column</th>
            <th scope="col">Before</th>
            <th scope="col">After</th>
          </tr>
        </thead>
        <tbody>
          {columns.map((column) => (
            <tr key={column}>
              <th scope="row">{differs(column) ? <Status kind="info">{column}</Status> : <code>{column}</code>}</th>
              <td>{shown(change.old, column)}</td>
              <td>{shown(change.new, column)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Dialog>
  )
}

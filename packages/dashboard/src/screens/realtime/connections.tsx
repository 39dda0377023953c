import { ChevronRight, ChevronsLeft, Plug } from 'lucide-react'
import { useState } from 'react'
import type { ConnectionEntry, ConnectionPage } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { bytes, compact, counted } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button } from '../../parts/button.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { SelectField } from '../../parts/field.tsx'
import { FilterField } from '../../parts/filter-field.tsx'
import { Note } from '../../parts/note.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { ConnectionDetail } from './connection-detail.tsx'
import { type ConnectionFilters, connectionOptions, protocols, queryOf, useConnectionFilters } from './connections-filters.ts'

const columns: readonly Column<ConnectionEntry>[] = [
  { name: 'id', title: 'Connection', width: '170px', cell: ({ id }) => <code>{id}</code> },
  { name: 'since', title: 'Connected', width: '120px', cell: ({ since }) => <Since at={since} /> },
  { name: 'protocol', title: 'Protocol', width: '100px', cell: ({ protocol }) => protocol },
  {
    name: 'user',
    title: 'User or role',
    width: 'minmax(140px, 1fr)',
    cell: ({ user, role }) => (user === null ? <span className="dim">{role ?? 'nobody'}</span> : <code>{user}</code>),
  },
  {
    name: 'channels',
    title: 'Channels',
    width: 'minmax(160px, 2fr)',
    cell: ({ channels, channelCount }) => {
      const [first] = channels
      return (
        <>
          {first !== undefined && <code>{first}</code>}
          {channelCount > 1 && <span className="dim"> and {channelCount - 1} more</span>}
        </>
      )
    },
  },
  { name: 'told', title: 'Told', width: '80px', align: 'end', cell: ({ told }) => compact(told) },
  { name: 'waiting', title: 'Unread', width: '90px', align: 'end', cell: ({ waitingBytes }) => bytes(waitingBytes) },
  { name: 'node', title: 'Server', width: 'minmax(160px, 1fr)', cell: ({ node }) => <code>{node}</code> },
]

interface FiltersProps {
  readonly filters: ConnectionFilters
  readonly nodes: ConnectionPage['nodes']
  readonly onChange: (change: Partial<ConnectionFilters>) => void
}

const Filters = ({ filters, nodes, onChange }: FiltersProps) => {
  // What is looked for begins at its beginning.
  const set = (change: Partial<ConnectionFilters>): void => onChange({ ...change, after: undefined })
  const names = new Set([...nodes.map(({ node }) => node), ...(filters.node === undefined ? [] : [filters.node])])
  const counts = new Map(nodes.map(({ node, connections }) => [node, ` (${connections})`]))
  return (
    <div className="panel-line filters">
      <SelectField
        label="Server"
        value={filters.node ?? ''}
        options={[['', 'all'] as const, ...[...names].map((name) => [name, `${name}${counts.get(name) ?? ''}`] as const)]}
        onChange={({ target }) => set({ node: target.value || undefined })}
      />
      <SelectField
        label="Protocol"
        value={filters.protocol}
        options={protocols.map((name) => [name, name] as const)}
        onChange={({ target }) => set({ protocol: target.value as ConnectionFilters['protocol'] })}
      />
      <FilterField
        label="Whose"
        placeholder="id of a user"
        value={filters.who}
        onChange={(text) => set({ who: text || undefined })}
      />
      <FilterField
        label="Listens to"
        placeholder="room:1"
        value={filters.hears}
        onChange={(text) => set({ hears: text || undefined })}
      />
    </div>
  )
}

const Nobody = ({ isFiltered }: { readonly isFiltered: boolean }) =>
  isFiltered ? (
    <Empty title="No connection is like that" icon={Plug} command="npx tidemark connections">
      <p>Users and channels are looked for by their whole names. All are listed by the command.</p>
    </Empty>
  ) : (
    <Empty title="Nobody is connected" icon={Plug} command="npx tidemark status --show-keys">
      <p>Clients of supabase-js connect to /realtime/v1, those of pusher-js to /app. The command says where, and by which key.</p>
    </Empty>
  )

/** Single connections of all servers. */
export const Connections = () => {
  const [filters, setFilters] = useConnectionFilters()
  const [open, setOpen] = useState<ConnectionEntry>()
  const query = queryOf(filters)
  const answer = useAnswer('GET /realtime/connections', { query }, { everyMs: 5_000 })
  return (
    <Panel
      title="Single connections"
      isFlush
      actions={
        <CopyAs
          path="GET /realtime/connections"
          input={{ query }}
          cli={`npx tidemark connections list${connectionOptions(filters)}`}
        />
      }
    >
      <Filters filters={filters} nodes={answer.data?.nodes ?? []} onChange={setFilters} />
      <Answered of={answer} height={200}>
        {({ connections, next, nodes, silent }) => (
          <>
            {silent > 0 && (
              <Note kind="warn">{counted(silent, 'other server')} did not answer: what is connected there is missing.</Note>
            )}
            <DataTable
              label="Connections"
              columns={columns}
              rows={connections}
              rowKey={({ id }) => id}
              onOpen={setOpen}
              openKey={open?.id}
              maxHeight={360}
              empty={<Nobody isFiltered={Object.keys(query).length > 1} />}
            />
            <div className="panel-line row" data-end>
              <span className="dim">
                {counted(connections.length, 'connection')} shown of{' '}
                {counted(
                  nodes.reduce((sum, node) => sum + node.connections, 0),
                  'connection',
                )}
              </span>
              {filters.after !== undefined && (
                <Button icon={ChevronsLeft} onClick={() => setFilters({ after: undefined })}>
                  The first
                </Button>
              )}
              {next !== null && (
                <Button icon={ChevronRight} onClick={() => setFilters({ after: next })}>
                  The next
                </Button>
              )}
            </div>
          </>
        )}
      </Answered>
      {open && <ConnectionDetail connection={open} onClose={() => setOpen(undefined)} />}
    </Panel>
  )
}

import { ScrollText, Settings } from 'lucide-react'
import { useState } from 'react'
import type { AuditEntry, SettingView } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { counted } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button } from '../../parts/button.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { Empty } from '../../parts/empty.tsx'
import { SelectField } from '../../parts/field.tsx'
import { FilterField } from '../../parts/filter-field.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { Status } from '../../parts/status.tsx'
import { Tabs } from '../../parts/tabs.tsx'
import { textOf, useFilters, wordOf } from '../../shell/filters.ts'
import { Keys } from './keys.tsx'

const tabs = ['configuration', 'keys', 'audit'] as const
const shownOf = ['set', 'all'] as const

const read = (search: Readonly<Record<string, unknown>>) => ({
  tab: wordOf(search['tab'], tabs),
  find: textOf(search['find']),
  shown: wordOf(search['shown'], shownOf),
  actor: textOf(search['actor']),
  action: textOf(search['action']),
  before: textOf(search['before']),
})

const settingColumns: readonly Column<SettingView>[] = [
  { name: 'option', title: 'Option', width: 'minmax(240px, 1fr)', cell: ({ option }) => <code>{option}</code> },
  {
    name: 'value',
    title: 'Value',
    width: 'minmax(240px, 2fr)',
    cell: ({ value }) => (value === null ? <span className="dim">not set</span> : <span title={value}>{value}</span>),
  },
  {
    name: 'source',
    title: 'From',
    width: 'minmax(200px, 1fr)',
    cell: ({ source }) => (source === null ? '' : <Status kind={source === 'default' ? 'idle' : 'info'}>{source}</Status>),
  },
]

const Configuration = () => {
  const [{ find, shown }, setFilters] = useFilters(read)
  const answer = useAnswer('GET /settings', {})
  return (
    <Panel title="Effective configuration" isFlush actions={<CopyAs path="GET /settings" input={{}} />}>
      <div className="panel-line filters">
        <FilterField label="Find" placeholder="postgres." value={find} onChange={(next) => setFilters({ find: next })} />
        <SelectField
          label="Shown"
          value={shown}
          options={[
            ['set', 'What somebody set'],
            ['all', 'Every option'],
          ]}
          onChange={(event) => setFilters({ shown: wordOf(event.target.value, shownOf) })}
        />
      </div>
      <Answered of={answer} height={320}>
        {({ settings }) => (
          <DataTable
            label="Configuration"
            columns={settingColumns}
            rows={settings.filter(
              ({ option, source }) =>
                (shown === 'all' || (source !== null && source !== 'default')) &&
                option.toLowerCase().includes((find ?? '').toLowerCase()),
            )}
            rowKey={({ option }) => option}
            maxHeight={620}
            empty={
              <Empty title="No option fits" icon={Settings} command="npx tidemark start --help">
                <p>
                  Options stand in tidemark.config.ts, in .env, in the environment and in flags; all else is as
                  docs/configuration.md says.
                </p>
              </Empty>
            }
          />
        )}
      </Answered>
    </Panel>
  )
}

const auditColumns: readonly Column<AuditEntry>[] = [
  { name: 'at', title: 'When', width: '120px', cell: ({ at }) => <Since at={at} /> },
  { name: 'actor', title: 'Who', width: 'minmax(150px, 1fr)', cell: ({ actor }) => <strong>{actor ?? 'nobody known'}</strong> },
  { name: 'role', title: 'As', width: '150px', cell: ({ role }) => role ?? '' },
  { name: 'action', title: 'Did', width: 'minmax(180px, 1fr)', cell: ({ action }) => <code>{action}</code> },
  { name: 'table', title: 'In', width: 'minmax(150px, 1fr)', cell: ({ table }) => table },
  {
    name: 'record',
    title: 'To',
    width: 'minmax(140px, 1fr)',
    cell: ({ record }) => <span title={record ?? ''}>{record ?? ''}</span>,
  },
]

const Entry = ({ entry, onClose }: { readonly entry: AuditEntry; readonly onClose: () => void }) => (
  <Dialog
    title={entry.action}
    description={`${entry.actor ?? 'nobody known'}, ${new Date(entry.at).toLocaleString()}`}
    isOpen
    isWide
    onClose={onClose}
  >
    <dl className="pairs">
      <dt>In</dt>
      <dd>{entry.table}</dd>
      <dt>To</dt>
      <dd>{entry.record ?? 'nothing by name'}</dd>
      <dt>Request</dt>
      <dd>
        <code>{entry.requestId ?? 'none'}</code>
      </dd>
    </dl>
    {entry.old !== null && (
      <>
        <h3>Before</h3>
        <pre className="code">{JSON.stringify(entry.old, null, 2)}</pre>
      </>
    )}
    {entry.new !== null && (
      <>
        <h3>{entry.old === null ? 'With' : 'After'}</h3>
        <pre className="code">{JSON.stringify(entry.new, null, 2)}</pre>
      </>
    )}
  </Dialog>
)

const Audit = () => {
  const [{ actor, action, before }, setFilters] = useFilters(read)
  const [open, setOpen] = useState<AuditEntry>()
  const query = {
    ...(actor !== undefined && { actor }),
    ...(action !== undefined && { action }),
    ...(before !== undefined && { before: Number(before) }),
    limit: 200,
  }
  const answer = useAnswer('GET /audit', { query }, before === undefined ? { everyMs: 5_000 } : {})
  return (
    <Panel title="What was done" isFlush actions={<CopyAs path="GET /audit" input={{ query }} />}>
      <div className="panel-line filters">
        <FilterField label="Who" value={actor} onChange={(next) => setFilters({ actor: next, before: undefined })} />
        <FilterField
          label="What begins with"
          placeholder="POST /move"
          value={action}
          onChange={(next) => setFilters({ action: next, before: undefined })}
        />
      </div>
      <Answered of={answer} height={320}>
        {({ entries }) => (
          <>
            <DataTable
              label="Audit log"
              columns={auditColumns}
              rows={entries}
              rowKey={({ id }) => String(id)}
              onOpen={setOpen}
              maxHeight={620}
              empty={
                <Empty title="Nothing was done that fits" icon={ScrollText} act="Shorten what stands in the fields above.">
                  <p>Whatever an operator changes is written here before it is done, and again where it failed.</p>
                </Empty>
              }
            />
            <div className="panel-line row" data-end>
              <span className="dim">{counted(entries.length, 'entry', 'entries')}</span>
              {before !== undefined && <Button onClick={() => setFilters({ before: undefined })}>The newest</Button>}
              <Button disabled={entries.length < 200} onClick={() => setFilters({ before: String(entries.at(-1)?.id) })}>
                Older
              </Button>
            </div>
          </>
        )}
      </Answered>
      {open && <Entry entry={open} onClose={() => setOpen(undefined)} />}
    </Panel>
  )
}

/** What counts, where it came from, and what operators did. */
export const SettingsScreen = () => {
  const [{ tab }, setFilters] = useFilters(read)
  return (
    <Tabs
      label="Settings"
      value={tab}
      onChange={(next) => setFilters({ tab: next })}
      tabs={[
        { value: 'configuration', label: 'Configuration', content: <Configuration /> },
        { value: 'keys', label: 'Keys', content: <Keys /> },
        { value: 'audit', label: 'Audit log', content: <Audit /> },
      ]}
    />
  )
}

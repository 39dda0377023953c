import { Search, Trash2, Zap } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import type { EntryReport, EvictReport, KeyReport, StatsReport } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAction, useAnswer } from '../../api/use-answer.ts'
import { bytes, compact, count, duration, percent, shellWord } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button } from '../../parts/button.tsx'
import { ConfirmDialog } from '../../parts/confirm-dialog.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { SelectField, TextField } from '../../parts/field.tsx'
import { Figure, Figures } from '../../parts/figures.tsx'
import { FilterField } from '../../parts/filter-field.tsx'
import { Note } from '../../parts/note.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Status } from '../../parts/status.tsx'
import { textOf, useFilters, wordOf } from '../../shell/filters.ts'
import { useSay } from '../../shell/say.tsx'

const kinds = ['key', 'tag', 'table', 'entry', 'all'] as const

type Kind = (typeof kinds)[number]

const kindNames: Readonly<Record<Kind, string>> = {
  key: 'One key',
  tag: 'A tag',
  table: 'All that reads a table',
  entry: 'A whole entry',
  all: 'Everything',
}

const read = (search: Readonly<Record<string, unknown>>) => ({
  key: textOf(search['key']),
  /** What is to be evicted: of which kind, and which. */
  evict: wordOf(search['evict'], kinds),
  name: textOf(search['name']),
})

/** One family of keys, over all nodes. */
interface Family
  extends Pick<
    EntryReport,
    | 'template'
    | 'memory'
    | 'redis'
    | 'misses'
    | 'loads'
    | 'loadErrors'
    | 'evictions'
    | 'sampled'
    | 'staleFound'
    | 'keys'
    | 'bytes'
    | 'maxBytes'
  > {
  readonly entry: string
}

const sums = [
  'memory',
  'redis',
  'misses',
  'loads',
  'loadErrors',
  'evictions',
  'sampled',
  'staleFound',
  'keys',
  'bytes',
  'maxBytes',
] as const

/** What all nodes do together, by entry. */
export const familiesOf = ({ nodes }: StatsReport): readonly Family[] => {
  const families = new Map<string, Family>()
  for (const { entries } of nodes) {
    for (const [entry, report] of Object.entries(entries)) {
      const before = families.get(entry)
      const added = Object.fromEntries(sums.map((name) => [name, (before?.[name] ?? 0) + report[name]]))
      families.set(entry, { ...(added as Record<(typeof sums)[number], number>), entry, template: report.template })
    }
  }
  return [...families.values()].sort((a, b) => (a.entry < b.entry ? -1 : 1))
}

const share = (part: number, { memory, redis, misses }: Pick<Family, 'memory' | 'redis' | 'misses'>): number | null =>
  memory + redis + misses === 0 ? null : part / (memory + redis + misses)

const columns: readonly Column<Family>[] = [
  { name: 'entry', title: 'Entry', width: 'minmax(120px, 1fr)', cell: ({ entry }) => <strong>{entry}</strong> },
  { name: 'template', title: 'Key', width: 'minmax(180px, 2fr)', cell: ({ template }) => <code>{template}</code> },
  { name: 'memory', title: 'From memory', width: '110px', align: 'end', cell: (one) => percent(share(one.memory, one)) },
  { name: 'redis', title: 'From Redis', width: '104px', align: 'end', cell: (one) => percent(share(one.redis, one)) },
  { name: 'misses', title: 'Missed', width: '92px', align: 'end', cell: (one) => percent(share(one.misses, one)) },
  { name: 'keys', title: 'In memory', width: '140px', align: 'end', cell: (one) => `${compact(one.keys)} · ${bytes(one.bytes)}` },
  { name: 'evictions', title: 'Evicted', width: '88px', align: 'end', cell: ({ evictions }) => compact(evictions) },
  {
    name: 'sampler',
    title: 'Sampler',
    width: 'minmax(150px, 1fr)',
    cell: ({ sampled, staleFound }) =>
      staleFound > 0 ? (
        <Status kind="bad">
          {count(staleFound)} stale of {compact(sampled)}
        </Status>
      ) : (
        <Status kind={sampled > 0 ? 'ok' : 'idle'}>{sampled > 0 ? `${compact(sampled)} right` : 'none sampled'}</Status>
      ),
  },
]

const Numbers = ({ stats }: { readonly stats: StatsReport }) => {
  const families = familiesOf(stats)
  const sum = (of: (family: Family) => number): number => families.reduce((total, family) => total + of(family), 0)
  const all = { memory: sum(({ memory }) => memory), redis: sum(({ redis }) => redis), misses: sum(({ misses }) => misses) }
  const stale = sum(({ staleFound }) => staleFound)
  return (
    <Figures label="All caches">
      <Figure label="Hits" value={percent(share(all.memory + all.redis, all))}>
        of {compact(all.memory + all.redis + all.misses)} reads
      </Figure>
      <Figure label="From memory" value={percent(share(all.memory, all))} />
      <Figure label="From Redis" value={percent(share(all.redis, all))} />
      <Figure label="Held in memory" value={bytes(sum((one) => one.bytes))}>
        of {bytes(sum((one) => one.maxBytes))}
      </Figure>
      <Figure label="Sampler found stale" value={count(stale)}>
        <Status kind={stale > 0 ? 'bad' : 'ok'}>of {compact(sum(({ sampled }) => sampled))} compared</Status>
      </Figure>
      <Figure label="Nodes" value={count(stats.nodes.length)}>
        {stats.scope}
      </Figure>
    </Figures>
  )
}

const KeyAnswer = ({ report }: { readonly report: KeyReport }) => {
  const { held, memory } = report
  return (
    <div className="stack">
      <dl className="pairs">
        <dt>Key</dt>
        <dd>
          <code>{report.key}</code>
        </dd>
        <dt>Entry</dt>
        <dd>{report.entry ?? 'none of the configuration'}</dd>
        <dt>Memory of this server</dt>
        <dd>
          {memory === null
            ? 'not there'
            : `${bytes(memory.bytes)}, read ${duration(memory.ageMs)} ago, fresh for ${duration(Math.max(0, memory.freshForMs))}`}
        </dd>
        <dt>Redis ({report.redis})</dt>
        <dd>
          {held === null
            ? 'not there'
            : `${bytes(held.bytes)}${held.encrypted ? ', encrypted' : ''}, read ${duration(held.ageMs)} ago, kept for ${duration(Math.max(0, held.keptForMs))}`}
        </dd>
        {held?.tags && held.tags.length > 0 && (
          <>
            <dt>Tags</dt>
            <dd>{held.tags.join(', ')}</dd>
          </>
        )}
      </dl>
      {held?.isCurrent === false && <Note kind="warn">It is of an earlier epoch, and is not answered any more.</Note>}
      {held?.problem != null && <Note kind="warn">It could not be opened: {held.problem}.</Note>}
      {held && held.problem === null && <pre className="code">{JSON.stringify(held.value, null, 2)}</pre>}
    </div>
  )
}

const Inspector = () => {
  const [{ key }, setFilters] = useFilters(read)
  const [typed, setTyped] = useState(key ?? '')
  const answer = useAnswer('GET /cache/key', { query: { key: key ?? '' } }, { enabled: key !== undefined })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setFilters({ key: typed.trim() === '' ? undefined : typed.trim() })
  }
  return (
    <Panel
      title="Look at a key"
      actions={
        key !== undefined && (
          <CopyAs path="GET /cache/key" input={{ query: { key } }} cli={`npx tidemark cache get ${shellWord(key)}`} />
        )
      }
    >
      <div className="stack">
        <form className="row one-field" onSubmit={submit}>
          <TextField
            label="Key"
            placeholder="chat:messages:42"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
          <Button type="submit" icon={Search}>
            Look
          </Button>
        </form>
        {key !== undefined && <Answered of={answer}>{(report) => <KeyAnswer report={report} />}</Answered>}
      </div>
    </Panel>
  )
}

const bodyOf = (kind: Kind, name: string) => (kind === 'all' ? ({ all: true } as const) : { [kind]: name.trim() })

const evictWords = (kind: Kind, name: string): string =>
  kind === 'all' ? '--all' : kind === 'key' ? shellWord(name) : `--${kind} ${shellWord(name)}`

const Preview = ({ report: { entries, nodes } }: { readonly report: EvictReport }) => (
  <Note kind="info">
    <p>
      It concerns {entries.length === 0 ? 'no entry of the configuration' : entries.join(', ')}
      {nodes === null ? '' : `, on ${nodes} ${nodes === 1 ? 'node' : 'nodes'}`}.
    </p>
    <p className="dim">The next reads go to Postgres. Nothing is lost.</p>
  </Note>
)

const Evict = () => {
  const say = useSay()
  const mayEvict = useMay('operator')
  const [{ evict: kind, name = '' }, setFilters] = useFilters(read)
  const [report, setReport] = useState<EvictReport>()
  const evict = useAction('POST /cache/evict')
  const body = bodyOf(kind, name)
  const preview = (event: FormEvent): void => {
    event.preventDefault()
    evict.mutate({ body: { ...body, dryRun: true } }, { onSuccess: setReport })
  }
  const confirm = (): void =>
    evict.mutate(
      { body },
      {
        onSuccess: () => {
          setReport(undefined)
          say('Evicted on all nodes that hear of it.')
        },
      },
    )
  return (
    <Panel title="Evict by hand">
      <form className="stack bounded" onSubmit={preview}>
        <SelectField
          label="What"
          options={kinds.map((each) => [each, kindNames[each]] as const)}
          value={kind}
          onChange={(event) => setFilters({ evict: wordOf(event.target.value, kinds) })}
        />
        {kind !== 'all' && <FilterField label="Name" value={name} onChange={(next) => setFilters({ name: next })} />}
        <div className="row" data-end>
          <CopyAs path="POST /cache/evict" input={{ body }} cli={`npx tidemark cache evict ${evictWords(kind, name.trim())}`} />
          <Button
            type="submit"
            icon={Trash2}
            disabled={!mayEvict || (kind !== 'all' && name.trim() === '')}
            title={mayEvict ? undefined : 'This needs the role operator.'}
            isBusy={evict.isPending && report === undefined}
          >
            Preview…
          </Button>
        </div>
      </form>
      <ConfirmDialog
        title="Evict"
        description="Values are taken away on all nodes, by a row that the feed carries to them."
        verb="Evict"
        isDanger={kind === 'all'}
        {...(kind === 'all' && { typed: 'everything' })}
        isOpen={report !== undefined}
        isBusy={evict.isPending}
        error={evict.error}
        onConfirm={confirm}
        onClose={() => setReport(undefined)}
      >
        {report && <Preview report={report} />}
      </ConfirmDialog>
    </Panel>
  )
}

/** What is cached, whether it is right, and what is under a key. */
export const CacheScreen = () => {
  const stats = useAnswer('GET /cache', {}, { everyMs: 2_000 })
  return (
    <>
      <Answered of={stats}>
        {(report) => (
          <>
            <Numbers stats={report} />
            <Panel
              title="Families of keys"
              isFlush
              actions={<CopyAs path="GET /cache" input={{}} cli="npx tidemark cache stats" />}
            >
              <DataTable
                label="Families of keys"
                columns={columns}
                rows={familiesOf(report)}
                rowKey={({ entry }) => entry}
                empty={
                  <Empty title="Nothing is cached" icon={Zap} command="npx tidemark cache stats">
                    <p>
                      Entries are named in tidemark.config.ts, under caches, or by an app: a key, what it is made of, and how it
                      is loaded.
                    </p>
                  </Empty>
                }
              />
            </Panel>
          </>
        )}
      </Answered>
      <div className="columns">
        <Inspector />
        <Evict />
      </div>
    </>
  )
}

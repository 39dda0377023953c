import { Activity } from 'lucide-react'
import { useEffect, useState } from 'react'
import type { RealtimeReport, RealtimeServerView } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAnswer } from '../../api/use-answer.ts'
import { bytes, compact, count } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Chart } from '../../parts/chart.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Figure, Figures } from '../../parts/figures.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { Status } from '../../parts/status.tsx'
import { Connections } from './connections.tsx'
import { Listening } from './listening.tsx'

type Sample = RealtimeReport['figures'][number]

const everyMs = 2_000
const longest = 90

const sumOf = (figures: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number =>
  figures
    .filter(
      (one) =>
        one.name === `tidemark_realtime_${name}` && Object.entries(labels).every(([label, value]) => one.labels[label] === value),
    )
    .reduce((sum, { value }) => sum + value, 0)

interface Point {
  readonly at: number
  readonly connections: number
  readonly frames: number
}

/** A counter says how many there were; two of its readings, how many a second. */
export const ratesOf = (points: readonly Point[]): readonly (number | null)[] =>
  points.map(({ at, frames }, n) => {
    const before = points[n - 1]
    if (!before || at <= before.at || frames < before.frames) return null
    return ((frames - before.frames) * 1_000) / (at - before.at)
  })

/** What was seen since the screen was opened. */
const usePoints = (report: RealtimeReport | undefined, at: number): readonly Point[] => {
  const [points, setPoints] = useState<readonly Point[]>([])
  useEffect(() => {
    if (!report || at === 0) return
    const point = { at, connections: sumOf(report.figures, 'connections'), frames: sumOf(report.figures, 'frames_total') }
    setPoints((before) => (before.at(-1)?.at === at ? before : [...before, point].slice(-longest)))
  }, [report, at])
  return points
}

const figureColumns: readonly Column<Sample>[] = [
  {
    name: 'name',
    title: 'Figure',
    width: 'minmax(260px, 2fr)',
    cell: ({ name }) => <code>{name.replace('tidemark_realtime_', '')}</code>,
  },
  {
    name: 'labels',
    title: 'Of',
    width: 'minmax(200px, 1fr)',
    cell: ({ labels }) =>
      Object.entries(labels)
        .map(([label, value]) => `${label} ${value}`)
        .join(', '),
  },
  {
    name: 'value',
    title: 'Value',
    width: '140px',
    align: 'end',
    cell: ({ name, value }) => (name.includes('bytes') ? bytes(value) : compact(value)),
  },
]

const serverColumns: readonly Column<RealtimeServerView>[] = [
  { name: 'id', title: 'Server', width: 'minmax(300px, 1fr)', cell: ({ id }) => <code>{id}</code> },
  { name: 'seen', title: 'Last heard of', width: '140px', cell: ({ seenAt }) => <Since at={seenAt} /> },
  { name: 'cursors', title: 'Places kept', width: '120px', align: 'end', cell: ({ cursors }) => count(cursors) },
]

const Numbers = ({ figures }: Pick<RealtimeReport, 'figures'>) => {
  const [cut, gaps] = [sumOf(figures, 'cut_off_total'), sumOf(figures, 'gaps_total') + sumOf(figures, 'topic_gaps_total')]
  return (
    <Figures label="Realtime of this server">
      <Figure label="Connections" value={count(sumOf(figures, 'connections'))}>
        {compact(sumOf(figures, 'refused_total'))} refused since the start
      </Figure>
      <Figure label="Channels that hear changes" value={count(sumOf(figures, 'change_listener_entries'))} />
      <Figure label="Changes that wait" value={count(sumOf(figures, 'changes_waiting_entries'))} />
      <Figure label="Unread by clients" value={bytes(sumOf(figures, 'buffered_bytes'))} />
      <Figure label="Gaps told" value={count(gaps)}>
        <Status kind={gaps > 0 ? 'warn' : 'ok'}>{gaps > 0 ? 'clients loaded anew' : 'none'}</Status>
      </Figure>
      <Figure label="Cut off" value={count(cut)}>
        <Status kind={cut > 0 ? 'warn' : 'ok'}>{cut > 0 ? 'by this side' : 'none'}</Status>
      </Figure>
    </Figures>
  )
}

const Charts = ({ points }: { readonly points: readonly Point[] }) => {
  const times = points.map(({ at }) => at)
  const charts = [
    { title: 'Connections', color: '--accent', values: points.map(({ connections }) => connections) },
    { title: 'Frames a second', color: '--info', values: ratesOf(points) },
  ]
  return (
    <div className="columns">
      {charts.map(({ title, color, values }) => (
        <Panel key={title} title={title}>
          {points.length < 2 ? (
            <div className="skeleton" style={{ height: 'calc(var(--chart) + 26px)' }} />
          ) : (
            <Chart
              label={`${title} since this screen was opened`}
              times={times}
              series={[{ label: title.toLowerCase(), color, values, isFilled: true }]}
              format={compact}
            />
          )}
        </Panel>
      ))}
    </div>
  )
}

/** Who is connected, to what, and how much is told. */
export const RealtimeScreen = () => {
  const answer = useAnswer('GET /realtime', {}, { everyMs })
  const points = usePoints(answer.data, answer.dataUpdatedAt)
  const mayListen = useMay('operator')
  return (
    <Answered of={answer} height={320}>
      {({ figures, servers }) => (
        <>
          <Numbers figures={figures} />
          <Charts points={points} />
          {mayListen && <Connections />}
          {mayListen && <Listening />}
          <Panel title="Servers" isFlush>
            <DataTable
              label="Servers"
              columns={serverColumns}
              rows={servers}
              rowKey={({ id }) => id}
              empty={
                <Empty title="No server keeps the places of clients" icon={Activity} command="npx tidemark dev">
                  <p>A server tells of itself here once clients hear changes of it.</p>
                </Empty>
              }
            />
          </Panel>
          <Panel title="All figures" isFlush actions={<CopyAs path="GET /realtime" input={{}} />}>
            <DataTable
              label="All figures"
              columns={figureColumns}
              rows={figures}
              rowKey={({ name, labels }) => `${name} ${JSON.stringify(labels)}`}
              empty={<Empty title="Nothing is counted yet" icon={Activity} command="npx tidemark dev" />}
            />
          </Panel>
        </>
      )}
    </Answered>
  )
}

import { Link } from '@tanstack/react-router'
import { MoveRight } from 'lucide-react'
import type { MoveGlance, Overview } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { compact, counted, duration, mark, percent } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Chart } from '../../parts/chart.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Figure, Figures } from '../../parts/figures.tsx'
import { Meter } from '../../parts/meter.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Status } from '../../parts/status.tsx'
import { stateWord } from '../move/move-words.ts'
import { Flow } from './flow.tsx'

const ms = (value: number | null): string => (value === null ? '–' : value < 10 ? value.toFixed(1) : compact(Math.round(value)))

const Numbers = ({ overview: { requests, cache, feed, uptimeSeconds, health } }: { readonly overview: Overview }) => (
  <Figures label="Figures of the last 15 minutes">
    <Figure label="Requests" value={compact(requests.total)}>
      last 15 minutes
    </Figure>
    <Figure label="Errors" value={compact(requests.errors)}>
      {requests.total === 0 ? 'no requests' : percent(requests.errors / requests.total)}
    </Figure>
    <Figure label="Latency, median" value={ms(requests.p50Ms)} unit="ms">
      95th percentile {ms(requests.p95Ms)} ms
    </Figure>
    <Figure label="Cache hits" value={percent(cache?.hitRate)}>
      {cache === null ? 'nothing is cached' : `${compact(cache.misses)} misses`}
    </Figure>
    <Figure label="Feed lag, at most" value={feed?.freshnessMs == null ? '–' : duration(feed.freshnessMs)}>
      {feed === null ? 'read elsewhere' : counted(feed.followers, 'follower')}
    </Figure>
    <Figure label="Up for" value={duration(uptimeSeconds * 1000)}>
      <Status kind={health.status === 'ok' ? (health.degraded.length > 0 ? 'warn' : 'ok') : 'bad'}>
        {health.status === 'error'
          ? 'not serving'
          : health.degraded.length > 0
            ? `without ${health.degraded.join(', ')}`
            : 'healthy'}
      </Status>
    </Figure>
  </Figures>
)

const Requests = ({ overview: { requests } }: { readonly overview: Overview }) => {
  const times = requests.buckets.map(({ at }) => at)
  const perSecond = (count: number): number => count / (requests.bucketMs / 1000)
  const { total, errors, p95Ms } = requests
  return (
    <div className="columns">
      <Panel title="Requests per second" actions={<CopyAs path="GET /overview" input={{}} cli="npx tidemark status" />}>
        <Chart
          label={`Requests of the last 15 minutes: ${counted(total, 'request')}, ${counted(errors, 'error')}.`}
          times={times}
          series={[
            {
              label: 'Requests',
              color: '--accent',
              values: requests.buckets.map((one) => perSecond(one.requests)),
              isFilled: true,
            },
            { label: 'Errors', color: '--bad', values: requests.buckets.map((one) => perSecond(one.errors)), isDashed: true },
          ]}
          format={mark}
        />
      </Panel>
      <Panel title="Latency in milliseconds">
        <Chart
          label={`Latency of the last 15 minutes: 95th percentile ${ms(p95Ms)} milliseconds.`}
          times={times}
          series={[
            { label: 'Median', color: '--info', values: requests.buckets.map((one) => one.p50Ms) },
            { label: '95th percentile', color: '--warn', values: requests.buckets.map((one) => one.p95Ms), isDashed: true },
          ]}
          format={mark}
        />
      </Panel>
    </div>
  )
}

const Move = ({ move }: { readonly move: MoveGlance }) => (
  <li className="stack">
    <div className="row">
      <Link to="/move" search={{ file: move.path } as never} className="wrap-anywhere">
        {move.path}
      </Link>
      <Status kind={move.differences > 0 ? 'bad' : 'info'}>{stateWord(move.state)}</Status>
      <span className="dim numbers">
        {compact(move.copied)} of {counted(move.rows, 'row')} in {counted(move.tables, 'table')}
      </span>
    </div>
    <Meter label={`Copied of ${move.path}`} share={move.rows === 0 ? 1 : move.copied / move.rows} />
  </li>
)

const Moves = ({ moves }: Pick<Overview, 'moves'>) => (
  <Panel title="Moves under way" isFlush={moves.length === 0}>
    {moves.length === 0 ? (
      <Empty title="No SQLite file is being moved" icon={MoveRight} command="npx tidemark move app.db">
        <p>
          Choose a file on the <Link to="/move">Move</Link> screen, or begin with the command.
        </p>
      </Empty>
    ) : (
      <ul className="stack">
        {moves.map((move) => (
          <Move key={`${move.path} ${move.state}`} move={move} />
        ))}
      </ul>
    )}
  </Panel>
)

/** How everything stands, now and over the last quarter of an hour. */
export const OverviewScreen = () => {
  const answer = useAnswer('GET /overview', {}, { everyMs: 2_000 })
  return (
    <Answered of={answer} height={420}>
      {(overview) => (
        <>
          <Flow overview={overview} />
          <Numbers overview={overview} />
          <Requests overview={overview} />
          <Moves moves={overview.moves} />
        </>
      )}
    </Answered>
  )
}

import type { MoveBoard } from 'tidemark/admin'
import { bytes, compact, count, counted, duration } from '../../format/format.ts'
import { Chart } from '../../parts/chart.tsx'
import { Figure, Figures } from '../../parts/figures.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { Status } from '../../parts/status.tsx'
import { rateOf, type Sample, sampleOf, timeLeft } from './rates.ts'

const writers = { sqlite: 'SQLite', postgres: 'Postgres', none: 'nobody' } as const

const perSecond = (value: number | null): string => (value === null ? '–' : compact(Math.round(value)))

interface Props {
  readonly board: MoveBoard
  readonly samples: readonly Sample[]
}

const Left = ({ ms }: { readonly ms: number | null }) =>
  ms === null ? 'time left not known yet' : ms === 0 ? 'done' : `about ${duration(ms)} left`

/** The numbers of a move: how much, how fast, how long, how far behind. */
export const Progress = ({ board, samples }: Props) => {
  const { move, tables } = board
  if (!move) return null
  const rows = tables.reduce((sum, table) => sum + table.rows, 0)
  const now = sampleOf(board)
  const copyRate = rateOf(samples, ({ copied }) => copied)
  const checkRate = rateOf(samples, ({ checked }) => checked)
  const isCopying = move.state === 'copying' || move.state === 'planned'
  const isMirroring = move.writer === 'postgres'
  const { differences } = move.checks
  return (
    <Figures label="Progress of the move">
      <Figure label="Rows copied" value={compact(now.copied)} unit={`of ${compact(rows)}`}>
        {isCopying ? <Left ms={timeLeft(rows, now.copied, copyRate)} /> : counted(tables.length, 'table')}
      </Figure>
      {isMirroring ? (
        <Figure label="Cut over" value={move.cutOverAt === null ? '–' : <Since at={move.cutOverAt} />}>
          the way back is open
        </Figure>
      ) : (
        <Figure
          label={isCopying ? 'Rows per second' : 'Changes per second'}
          value={perSecond(isCopying ? copyRate : rateOf(samples, ({ applied }) => applied))}
        >
          over the last 10 s
        </Figure>
      )}
      <Figure
        label={isMirroring ? 'File is behind' : 'Postgres is behind'}
        value={now.behind === null ? '–' : isMirroring ? bytes(now.behind) : count(now.behind)}
        unit={now.behind === null || isMirroring ? undefined : now.behind === 1 ? 'change' : 'changes'}
      >
        {now.behind === 0 ? <Status kind="ok">up to date</Status> : isMirroring ? 'of the log kept for the mirror' : ''}
      </Figure>
      <Figure label="Rows compared" value={compact(now.checked)} unit={`of ${compact(rows)}`}>
        {move.checks.done ? <Status kind="ok">every table</Status> : <Left ms={timeLeft(rows, now.checked, checkRate)} />}
      </Figure>
      <Figure label="Mismatches" value={count(differences)}>
        <Status kind={differences > 0 ? 'bad' : move.checks.rowsChecked > 0 ? 'ok' : 'idle'}>
          {differences > 0 ? 'rows differ' : move.checks.rowsChecked > 0 ? 'both sides alike' : 'not compared yet'}
        </Status>
      </Figure>
      <Figure label="Writes go to" value={writers[move.writer]}>
        {move.readsPercent > 0 ? `${move.readsPercent} % of reads from Postgres` : 'reads as writes'}
      </Figure>
    </Figures>
  )
}

/** How far one side was behind the other, over the last minutes. */
export const LagChart = ({ board, samples }: Props) => {
  const isMirroring = board.move?.writer === 'postgres'
  const now = samples.at(-1)?.behind ?? null
  const format = isMirroring ? bytes : compact
  return (
    <Panel title={isMirroring ? 'Log kept for the file' : 'Changes not yet in Postgres'}>
      <Chart
        key={String(isMirroring)}
        label={now === null ? 'How far behind it is, is not known yet.' : `Now ${format(now)} behind.`}
        times={samples.map(({ at }) => at)}
        series={[{ label: 'Behind', color: '--accent', values: samples.map(({ behind }) => behind), isFilled: true }]}
        format={format}
      />
    </Panel>
  )
}

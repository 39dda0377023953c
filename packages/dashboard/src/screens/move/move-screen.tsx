import { ArrowLeft, FileText } from 'lucide-react'
import type { MoveBoard } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { shellWord } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button } from '../../parts/button.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { ErrorNote } from '../../parts/error-note.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Status } from '../../parts/status.tsx'
import { type Tab, Tabs } from '../../parts/tabs.tsx'
import { ActionButton, useMoveActions } from './actions.tsx'
import { adviceOf, type MoveAction } from './advice.ts'
import { ChooseFile } from './choose-file.tsx'
import { Gates } from './gates.tsx'
import { History } from './history.tsx'
import { JobActivity } from './job-activity.tsx'
import { Mismatches } from './mismatches.tsx'
import { type MoveTab, useMoveFilters } from './move-filters.ts'
import { stateWord } from './move-words.ts'
import { PlanReport, planJobOf } from './plan-report.tsx'
import { LagChart, Progress } from './progress.tsx'
import { type Sample, useSamples } from './rates.ts'
import { Rejects } from './rejects.tsx'
import { StepRail } from './step-rail.tsx'
import { stepsOf } from './steps.ts'
import { Tables } from './tables.tsx'
import './move.css'

/** What is to be done now, as a command; where that is to wait, a look at how it goes. */
const CopyNext = ({ action, file }: { readonly action: MoveAction | undefined; readonly file: string }) => {
  const path = shellWord(file)
  const follow = { body: { file, until: 'ended' } } as const
  switch (action) {
    case 'plan':
      return <CopyAs path="POST /move/plan" input={{ body: { file } }} cli={`npx tidemark move plan ${path}`} asJob />
    case 'copy':
      return <CopyAs path="POST /move/follow" input={follow} cli={`npx tidemark move ${path}`} asJob />
    case 'goOn':
      return <CopyAs path="POST /move/follow" input={follow} cli={`npx tidemark move follow ${path}`} asJob />
    case 'cutover':
    case 'settle':
      return <CopyAs path="POST /move/cutover" input={{ body: { file } }} cli={`npx tidemark move cutover ${path}`} asJob />
    case 'rollback':
      return <CopyAs path="POST /move/rollback" input={{ body: { file } }} cli={`npx tidemark move rollback ${path}`} asJob />
    default:
      return <CopyAs path="GET /move/board" input={{ query: { file } }} cli={`npx tidemark move status ${path}`} />
  }
}

const goOnLabel = ({ move }: MoveBoard, action: MoveAction): string | undefined =>
  action !== 'goOn'
    ? undefined
    : move?.state === 'rolledBack'
      ? 'Follow again'
      : move?.state === 'mirroring'
        ? 'Go on mirroring'
        : undefined

const NextStep = ({ board, file }: { readonly board: MoveBoard; readonly file: string }) => {
  const advice = adviceOf(board)
  const actions = useMoveActions(file, board)
  const { primary, blocked, others } = advice
  return (
    <section className="panel next" aria-label="What to do now">
      <div className="next-words">
        <h2>{advice.title}</h2>
        <p className="dim">{advice.text}</p>
        {blocked !== undefined && (
          <p>
            <Status kind="busy">Still open: {blocked}</Status>
          </p>
        )}
      </div>
      <div className="row" data-end>
        {others.map((action) => (
          <ActionButton
            key={action}
            action={action}
            label={action === 'plan' ? 'Plan again' : undefined}
            isBusy={actions.isBusy}
            onRun={actions.run}
          />
        ))}
        {primary !== undefined && (
          <ActionButton
            action={primary}
            label={goOnLabel(board, primary)}
            isPrimary
            blocked={blocked}
            isBusy={actions.isBusy}
            onRun={actions.run}
          />
        )}
        <CopyNext action={primary} file={file} />
      </div>
      {actions.error && <ErrorNote error={actions.error} />}
      {actions.dialogs}
    </section>
  )
}

/** The operation to look at: what runs, a switch before the follower that stands aside for it, else what ended last. */
const shownJob = ({ jobs }: MoveBoard) => {
  const running = jobs.filter(({ state }) => state === 'running')
  return running.find(({ kind }) => kind !== 'move.follow') ?? jobs.find(({ kind }) => kind !== 'move.plan') ?? jobs[0]
}

const tabsOf = (board: MoveBoard, file: string, samples: readonly Sample[]): readonly Tab<MoveTab>[] => {
  const { move, tables, differences, jobs } = board
  const plan: Tab<MoveTab> = { value: 'plan', label: 'Plan', content: <PlanReport jobs={jobs} file={file} /> }
  if (!move) return [plan]
  const left = move.rejects.rows + move.rejects.values
  return [
    { value: 'tables', label: 'Tables', count: tables.length, content: <Tables tables={tables} samples={samples} /> },
    {
      value: 'mismatches',
      label: 'Mismatches',
      count: move.checks.differences,
      content: <Mismatches differences={differences} move={move} />,
    },
    { value: 'rejects', label: 'Rejects', count: left, content: <Rejects file={file} /> },
    plan,
    { value: 'history', label: 'History', content: <History move={move} /> },
  ]
}

const Board = ({ board, file }: { readonly board: MoveBoard; readonly file: string }) => {
  const [filters, setFilters] = useMoveFilters()
  const samples = useSamples(board)
  const job = shownJob(board)
  const tabs = tabsOf(board, file, samples)
  const chosen = tabs.some(({ value }) => value === filters.tab) ? filters.tab : tabs[0]!.value
  return (
    <>
      <StepRail steps={stepsOf(board, planJobOf(board.jobs) !== undefined)} />
      <NextStep board={board} file={file} />
      <Progress board={board} samples={samples} />
      <div className="columns">
        {board.move && board.gates.length > 0 && <Gates gates={board.gates} state={board.move.state} />}
        <div className="move-side">
          {board.move?.log && <LagChart board={board} samples={samples} />}
          {job && <JobActivity key={job.job} job={job} />}
        </div>
      </div>
      <Panel title={board.move ? 'Details' : 'Plan'} isFlush>
        <Tabs<MoveTab> label="Details of the move" value={chosen} onChange={(tab) => setFilters({ tab })} tabs={tabs} />
      </Panel>
    </>
  )
}

const OneMove = ({ file, onLeave }: { readonly file: string; readonly onLeave: () => void }) => {
  const answer = useAnswer('GET /move/board', { query: { file } }, { everyMs: 1_000 })
  const state = answer.data?.move?.state
  return (
    <>
      <div className="row">
        <Button kind="quiet" icon={ArrowLeft} onClick={onLeave}>
          All files
        </Button>
        <FileText size={15} aria-hidden />
        <code className="wrap-anywhere">{file}</code>
        {state !== undefined && <Status kind={state === 'aborted' ? 'idle' : 'info'}>{stateWord(state)}</Status>}
      </div>
      <Answered of={answer} height={420}>
        {(board) => <Board board={board} file={file} />}
      </Answered>
    </>
  )
}

/** The way of a SQLite file onto Postgres, from the plan to the way back. */
export const MoveScreen = () => {
  const [{ file }, setFilters] = useMoveFilters()
  if (file === undefined) return <ChooseFile onChoose={(chosen) => setFilters({ file: chosen })} />
  return <OneMove key={file} file={file} onLeave={() => setFilters({ file: undefined, tab: undefined })} />
}

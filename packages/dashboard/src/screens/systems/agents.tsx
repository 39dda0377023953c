import { Ban, Bot, ChartLine } from 'lucide-react'
import type { AgentMetrics, AgentView, ExecutionView } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { count, duration, percent } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Chart } from '../../parts/chart.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { StateCounts } from '../../parts/state-counts.tsx'
import { Status } from '../../parts/status.tsx'
import { Absent } from './absent.tsx'
import { ActButton } from './act-button.tsx'
import { kindOf } from './kinds.ts'
import { LivePanel } from './live-panel.tsx'
import { useLiveSystem } from './use-live-system.ts'

const Agent = ({ agent }: { readonly agent: AgentView }) => (
  <li className="card">
    <header className="row">
      <h3>{agent.id}</h3>
      <Status kind={kindOf(agent.status)}>{agent.status}</Status>
    </header>
    <p className="dim">{agent.type.replaceAll('_', ' ')}</p>
    <div className="row dim">
      <span>{count(agent.completed)} done</span>
      <span>{count(agent.failed)} failed</span>
      <span>
        beat <Since at={agent.beatAt} />
      </span>
    </div>
    {agent.task !== null && (
      <p>
        at <code>{agent.task}</code>
      </p>
    )}
    {agent.reason !== null && <p className="dim">{agent.reason}</p>}
  </li>
)

const underWay: ReadonlySet<string> = new Set(['pending', 'queued', 'running', 'retrying'])

const columns: readonly Column<ExecutionView>[] = [
  { name: 'at', title: 'Asked', width: '110px', cell: ({ at }) => <Since at={at} /> },
  { name: 'status', title: 'State', width: '120px', cell: ({ status }) => <Status kind={kindOf(status)}>{status}</Status> },
  { name: 'task', title: 'Task', width: 'minmax(160px, 1fr)', cell: ({ task }) => <code>{task}</code> },
  { name: 'kind', title: 'What', width: 'minmax(140px, 1fr)', cell: ({ kind }) => kind },
  { name: 'type', title: 'Agent', width: '160px', cell: ({ type }) => type.replaceAll('_', ' ') },
  { name: 'priority', title: 'Priority', width: '90px', cell: ({ priority }) => priority },
  {
    name: 'seconds',
    title: 'Took',
    width: '90px',
    align: 'end',
    cell: ({ seconds }) => (seconds === null ? '' : duration(seconds * 1_000)),
  },
  { name: 'score', title: 'Quality', width: '84px', align: 'end', cell: ({ score }) => percent(score) },
  { name: 'retries', title: 'Again', width: '72px', align: 'end', cell: ({ retries }) => count(retries) },
  {
    name: 'error',
    title: 'Error',
    width: 'minmax(160px, 2fr)',
    cell: ({ error }) => <span title={error ?? ''}>{error ?? ''}</span>,
  },
  {
    name: 'cancel',
    title: 'Cancel',
    width: '124px',
    cell: ({ task, status }) =>
      underWay.has(status) && (
        <ActButton
          icon={Ban}
          label={`Cancel ${task}`}
          action={{ action: 'cancel-task', id: task }}
          done={status === 'running' ? 'Its agent is asked to leave off.' : 'Cancelled.'}
        >
          Cancel
        </ActButton>
      ),
  },
]

const Charts = ({ metrics }: { readonly metrics: readonly AgentMetrics[] }) => {
  const times = metrics.map(({ at }) => Date.parse(at))
  if (times.length < 2)
    return (
      <Panel title="How they do">
        <Empty title="There is nothing to draw yet" icon={ChartLine} command="npm start -w apps/agents">
          <p>Agents tell how they did for each stretch of time; a line begins with the second one.</p>
        </Empty>
      </Panel>
    )
  return (
    <div className="columns">
      <Panel title="Tasks">
        <Chart
          label="Tasks that were done and that failed, over time"
          times={times}
          series={[
            { label: 'done', color: '--ok', values: metrics.map(({ completed }) => completed), isFilled: true },
            { label: 'failed', color: '--bad', values: metrics.map(({ failed }) => failed), isDashed: true },
          ]}
        />
      </Panel>
      <Panel title="Time for a task">
        <Chart
          label="Mean time for a task, over time"
          times={times}
          series={[
            {
              label: 'mean',
              color: '--accent',
              values: metrics.map(({ seconds }) => (seconds === null ? null : seconds * 1_000)),
            },
          ]}
          format={duration}
        />
      </Panel>
      {metrics.some(({ score }) => score !== null) && (
        <Panel title="Quality">
          <Chart
            label="Mean quality, over time"
            times={times}
            series={[{ label: 'quality', color: '--info', values: metrics.map(({ score }) => score) }]}
            format={percent}
          />
        </Panel>
      )}
    </div>
  )
}

/** Who is there, what they were asked to do, and how well they do. */
export const Agents = () => {
  const answer = useAnswer('GET /systems/agents', {}, { everyMs: 5_000 })
  const isListening = useLiveSystem('agents', answer.data)
  return (
    <Answered of={answer} height={320}>
      {({ isPresent, agents, states, tasks, executions, metrics }) =>
        isPresent ? (
          <div className="stack">
            <LivePanel title="Agents" isListening={isListening} actions={<CopyAs path="GET /systems/agents" input={{}} />}>
              <div className="panel-line">
                <StateCounts label="Agents by state" counts={states} kindOf={kindOf} />
              </div>
              {agents.length === 0 ? (
                <Empty title="No agent has told of itself" icon={Bot} command="npm start -w apps/agents" />
              ) : (
                <ul className="board">
                  {agents.map((agent) => (
                    <Agent key={agent.id} agent={agent} />
                  ))}
                </ul>
              )}
            </LivePanel>
            <Charts metrics={metrics} />
            <LivePanel title="Executions" isListening={isListening}>
              <div className="panel-line">
                <StateCounts label="Executions by state" counts={tasks} kindOf={kindOf} />
              </div>
              <DataTable
                label="Executions"
                columns={columns}
                rows={executions}
                rowKey={({ task }) => task}
                empty={
                  <Empty title="Nothing was asked for yet" icon={Bot} command="npm start -w apps/agents">
                    <p>Tasks are asked of the application, at /api/v1/tasks.</p>
                  </Empty>
                }
              />
            </LivePanel>
          </div>
        ) : (
          <Absent
            title="Agents"
            folder="agents"
            start="DATABASE_URL=$(npx tidemark db url --role app) SUPABASE_JWT_SECRET=… npm start -w apps/agents"
          />
        )
      }
    </Answered>
  )
}

import { MessageCircleHeart } from 'lucide-react'
import type { YarnView } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { count } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Figure, Figures } from '../../parts/figures.tsx'
import { Since } from '../../parts/since.tsx'
import { StateCounts } from '../../parts/state-counts.tsx'
import { Status } from '../../parts/status.tsx'
import { useSay } from '../../shell/say.tsx'
import { Absent } from './absent.tsx'
import { kindOf } from './kinds.ts'
import { LivePanel } from './live-panel.tsx'
import { useSystemsFilters } from './systems-filters.ts'
import { useLiveSystem } from './use-live-system.ts'
import { retention, stateWord, YarnConversation } from './yarn-conversation.tsx'

const columns: readonly Column<YarnView>[] = [
  { name: 'last', title: 'Last word', width: '120px', cell: ({ lastAt }) => <Since at={lastAt} /> },
  { name: 'id', title: 'Yarn', width: '120px', cell: ({ id }) => <code>{id}…</code> },
  {
    name: 'state',
    title: 'Where it is',
    width: 'minmax(160px, 1fr)',
    cell: ({ state, isCompleted }) => (
      <Status kind={isCompleted ? 'ok' : 'info'}>{isCompleted ? 'finished' : stateWord(state)}</Status>
    ),
  },
  { name: 'steps', title: 'Steps', width: '80px', align: 'end', cell: ({ steps }) => `${steps} of 4` },
  { name: 'messages', title: 'Messages', width: '92px', align: 'end', cell: ({ messages }) => count(messages) },
  {
    name: 'risks',
    title: 'Risk',
    width: 'minmax(130px, 1fr)',
    cell: ({ risks }) => (
      <Status kind={risks > 0 ? 'warn' : 'idle'}>
        {risks > 0 ? `noticed ${risks === 1 ? 'once' : `${risks} times`}` : 'none noticed'}
      </Status>
    ),
  },
  { name: 'began', title: 'Began', width: '120px', cell: ({ startedAt }) => <Since at={startedAt} /> },
]

/** Where yarns are, and one of them turn by turn. What was said stays with who said it, but for an admin who says why. */
export const Yarn = () => {
  const say = useSay()
  const [{ yarn }, setFilters] = useSystemsFilters()
  const answer = useAnswer('GET /systems/yarn', {}, { everyMs: 5_000 })
  const isListening = useLiveSystem('yarn', answer.data)
  return (
    <Answered of={answer} height={320}>
      {({ isPresent, sessions, completed, risksToday, states }) =>
        isPresent ? (
          <div className="stack">
            <Figures label="Yarns">
              <Figure label="Going on" value={count(Object.values(states).reduce((sum, n) => sum + n, 0))} />
              <Figure label="Finished" value={count(completed)} />
              <Figure label="Risks in 24 hours" value={count(risksToday)}>
                <Status kind={risksToday > 0 ? 'warn' : 'ok'}>{risksToday > 0 ? 'resources were shown' : 'none'}</Status>
              </Figure>
            </Figures>
            <LivePanel title="Yarns" isListening={isListening} actions={<CopyAs path="GET /systems/yarn" input={{}} />}>
              <div className="panel-line">
                <StateCounts label="Yarns that go on, by step" counts={states} kindOf={kindOf} />
              </div>
              <DataTable
                label="Yarns"
                columns={columns}
                rows={sessions}
                rowKey={({ key, id, startedAt }) => key ?? `${id} ${startedAt}`}
                onOpen={({ key }) => (key === null ? say('Nothing was said in it yet.', 'info') : setFilters({ yarn: key }))}
                openKey={yarn}
                maxHeight={560}
                empty={
                  <Empty
                    title="Nobody has talked yet"
                    icon={MessageCircleHeart}
                    command="node apps/supportive-yarn/dist/main.js"
                  />
                }
              />
              <p className="panel-line dim">{retention}</p>
            </LivePanel>
            {yarn !== undefined && <YarnConversation key={yarn} number={yarn} onClose={() => setFilters({ yarn: undefined })} />}
          </div>
        ) : (
          <Absent
            title="Supportive Yarn"
            folder="supportive-yarn"
            start="DATABASE_PROVIDER=postgres DATABASE_URL=$(npx tidemark db url --role app) node apps/supportive-yarn/dist/main.js"
          />
        )
      }
    </Answered>
  )
}

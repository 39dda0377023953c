import { MessagesSquare } from 'lucide-react'
import type { ChatView } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { count } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Figure, Figures } from '../../parts/figures.tsx'
import { Since } from '../../parts/since.tsx'
import { Status } from '../../parts/status.tsx'
import { Absent } from './absent.tsx'
import { kindOf } from './kinds.ts'
import { LivePanel } from './live-panel.tsx'
import { OwnChat } from './own-chat.tsx'
import { useLiveSystem } from './use-live-system.ts'

const columns: readonly Column<ChatView>[] = [
  {
    name: 'last',
    title: 'Last message',
    width: '130px',
    cell: ({ lastAt }) => (lastAt === null ? 'none yet' : <Since at={lastAt} />),
  },
  { name: 'id', title: 'Chat', width: 'minmax(300px, 1fr)', cell: ({ id }) => <code>{id}</code> },
  { name: 'user', title: 'User', width: 'minmax(300px, 1fr)', cell: ({ user }) => <code>{user}</code> },
  { name: 'messages', title: 'Messages', width: '96px', align: 'end', cell: ({ messages }) => count(messages) },
  { name: 'status', title: 'State', width: '120px', cell: ({ status }) => <Status kind={kindOf(status)}>{status}</Status> },
  {
    name: 'undo',
    title: 'Gone for good',
    width: '120px',
    cell: ({ undoUntil }) => (undoUntil === null ? '' : <Since at={undoUntil} />),
  },
  { name: 'began', title: 'Began', width: '120px', cell: ({ startedAt }) => <Since at={startedAt} /> },
]

/** Chats by when somebody last wrote. Titles and messages are their users'. */
export const Chat = () => {
  const answer = useAnswer('GET /systems/chat', {}, { everyMs: 5_000 })
  const isListening = useLiveSystem('chat', answer.data)
  return (
    <Answered of={answer} height={320}>
      {({ isPresent, sessions, states, messagesLastHour }) =>
        isPresent ? (
          <div className="stack">
            <Figures label="Chats">
              <Figure label="Active" value={count(states['active'] ?? 0)} />
              <Figure label="Archived" value={count(states['archived'] ?? 0)} />
              <Figure label="Deleted" value={count(states['deleted'] ?? 0)}>
                can be taken back for a while
              </Figure>
              <Figure label="Messages in an hour" value={count(messagesLastHour)} />
            </Figures>
            <LivePanel title="Chats" isListening={isListening} actions={<CopyAs path="GET /systems/chat" input={{}} />}>
              <DataTable
                label="Chats"
                columns={columns}
                rows={sessions}
                rowKey={({ id }) => id}
                maxHeight={560}
                empty={<Empty title="Nobody has written yet" icon={MessagesSquare} command="npm start -w apps/chat" />}
              />
            </LivePanel>
            <OwnChat />
          </div>
        ) : (
          <Absent
            title="Chat"
            folder="chat"
            start="DATABASE_URL=$(npx tidemark db url --role app) JWT_SECRET=… npm start -w apps/chat"
          />
        )
      }
    </Answered>
  )
}

import { MessageCircleHeart } from 'lucide-react'
import type { YarnCourse, YarnTurn, YarnView } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { counted, timeOfDay } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Since } from '../../parts/since.tsx'
import { Status } from '../../parts/status.tsx'
import { Bubbles } from './bubbles.tsx'
import { useYarnWords } from './use-yarn-words.ts'
import { YarnWordsForm } from './yarn-words.tsx'

/** The application's own times; it may be told others. */
export const retention =
  'A yarn that was finished is deleted 30 days after it began, one that was not 90 days after its last word, unless the application is told otherwise.'

export const stateWord = (state: string): string =>
  state === 'llm_conversation' ? 'free conversation' : state.replaceAll('_', ' ')

const RiskMark = ({ tier, resourcesShown }: NonNullable<YarnTurn['risk']>) => (
  <div className="row">
    <Status kind={tier === 'medium' ? 'warn' : 'bad'}>risk noticed: {tier ?? 'of an older list'}</Status>
    <Status kind={resourcesShown ? 'ok' : 'bad'}>{resourcesShown ? 'resources were shown' : 'no resources were shown'}</Status>
  </div>
)

const Turn = ({
  turn: { role, at, state, intent, risk },
  text,
}: {
  readonly turn: YarnTurn
  readonly text: string | undefined
}) => (
  <li className="bubble" data-from={role === 'bot' ? 'me' : 'it'} data-risk={risk !== null || undefined}>
    <div className="row">
      <strong>{role === 'bot' ? 'Bot' : 'User'}</strong>
      <small>
        <time dateTime={at} title={new Date(at).toLocaleString()}>
          {timeOfDay(at)}
        </time>
        {` · ${stateWord(state)}`}
        {intent !== null && ` · taken for: ${intent}`}
      </small>
    </div>
    {risk && <RiskMark {...risk} />}
    {text !== undefined && <p>{text}</p>}
  </li>
)

const About = ({ yarn, shown }: { readonly yarn: YarnView; readonly shown: number }) => (
  <div className="row">
    <Status kind={yarn.isCompleted ? 'ok' : 'info'}>{yarn.isCompleted ? 'finished' : stateWord(yarn.state)}</Status>
    <span role="status">{counted(yarn.messages, 'message')}</span>
    {shown < yarn.messages && <span>the newest {shown} are here</span>}
    <span className="dim">
      began <Since at={yarn.startedAt} />, last word <Since at={yarn.lastAt} />
    </span>
  </div>
)

const Gone = () => (
  <Empty title="This yarn is not kept any more" icon={MessageCircleHeart} act="Close this and open another.">
    <p>{retention}</p>
  </Empty>
)

const titleOf = (course: YarnCourse | undefined): string => (course?.yarn ? `The yarn ${course.yarn.id}…` : 'A yarn')

interface YarnConversationProps {
  /** Of the yarn. */
  readonly number: string
  onClose(): void
}

/** How one yarn goes, turn by turn. Its words come for an admin alone, with a reason, and go when this is closed. */
export const YarnConversation = ({ number, onClose }: YarnConversationProps) => {
  const input = { query: { key: number } }
  const answer = useAnswer('GET /systems/yarn/course', input, { everyMs: 5_000 })
  const words = useYarnWords(number, answer.data?.turns.at(-1)?.number)
  const isKept = answer.data?.yarn != null
  return (
    <Dialog
      title={titleOf(answer.data)}
      description={isKept ? `In the audit log it is number ${number}. ${retention}` : undefined}
      isOpen
      isWide
      onClose={onClose}
      actions={<CopyAs path="GET /systems/yarn/course" input={input} />}
    >
      <Answered of={answer} height={240}>
        {({ yarn, turns }) =>
          yarn === null ? (
            <Gone />
          ) : (
            <>
              <About yarn={yarn} shown={turns.length} />
              <YarnWordsForm of={words} />
              <Bubbles label="The yarn, turn by turn" count={turns.length} isReadOut={false}>
                {turns.map((turn) => (
                  <Turn key={turn.number} turn={turn} text={words.shown?.texts.get(turn.number)} />
                ))}
              </Bubbles>
            </>
          )
        }
      </Answered>
    </Dialog>
  )
}

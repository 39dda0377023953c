import { useQueryClient } from '@tanstack/react-query'
import { RotateCcw, Send, X } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import type { OwnMessage } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { answerKey, useAction, useAnswer } from '../../api/use-answer.ts'
import { timeOfDay } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button, IconButton } from '../../parts/button.tsx'
import { TextField } from '../../parts/field.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Bubbles } from './bubbles.tsx'

interface Sending {
  /** Sent again under the same, it is there once. */
  readonly clientId: string
  readonly text: string
  /** Why it was not taken; undefined while it is on its way. */
  readonly why?: string
}

/** A UUID. Where the dashboard is reached without TLS, browsers have no `crypto.randomUUID`. */
const newId = (): string => {
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
}

const Said = ({ role, text, at }: OwnMessage) => (
  <li className="bubble" data-from={role === 'user' ? 'me' : 'it'}>
    <p>{text}</p>
    <small>
      {role === 'user' ? '' : `${role} · `}
      <time dateTime={at}>{timeOfDay(at)}</time>
    </small>
  </li>
)

interface UnsentProps {
  readonly of: Sending
  readonly onAgain: () => void
  readonly onDrop: () => void
}

const Unsent = ({ of: { text, why }, onAgain, onDrop }: UnsentProps) => (
  <li className="bubble" data-from="me" data-unsent>
    <p>{text}</p>
    {why === undefined ? (
      <small>on its way …</small>
    ) : (
      <small className="row">
        Not sent: {why}
        <IconButton icon={RotateCcw} label="Send again" onClick={onAgain} />
        <IconButton icon={X} label="Let it go" onClick={onDrop} />
      </small>
    )}
  </li>
)

/** What was said is on the page at once; it stays marked until the application has it. */
const useSending = () => {
  const client = useQueryClient()
  const say = useAction('POST /systems/chat/say')
  const [sending, setSending] = useState<readonly Sending[]>([])
  const drop = (clientId: string): void => setSending((all) => all.filter((each) => each.clientId !== clientId))
  const send = async ({ clientId, text }: Sending): Promise<void> => {
    setSending((all) => [...all.filter((each) => each.clientId !== clientId), { clientId, text }])
    try {
      const told = await say.mutateAsync({ body: { payload: text, clientId } })
      client.setQueryData(answerKey('GET /systems/chat/own', {}), told)
      drop(clientId)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      setSending((all) => all.map((each) => (each.clientId === clientId ? { ...each, why } : each)))
    }
  }
  return { sending, send, drop }
}

/** The operator's own chat in the application; those of others are theirs. */
export const OwnChat = () => {
  const answer = useAnswer('GET /systems/chat/own', {}, { everyMs: 5_000 })
  const { sending, send, drop } = useSending()
  const [draft, setDraft] = useState('')
  const may = useMay('operator')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    const text = draft.trim()
    if (text === '') return
    setDraft('')
    void send({ clientId: newId(), text })
  }
  return (
    <Panel title="Your own chat">
      <Answered of={answer} height={120}>
        {({ messages }) => {
          const there = new Set(messages.map(({ clientId }) => clientId))
          const unsent = sending.filter(({ clientId }) => !there.has(clientId))
          return (
            <Bubbles label="Your own chat" count={messages.length + unsent.length} isReadOut>
              {messages.map((message) => (
                <Said key={message.clientId ?? message.id} {...message} />
              ))}
              {unsent.map((each) => (
                <Unsent key={each.clientId} of={each} onAgain={() => void send(each)} onDrop={() => drop(each.clientId)} />
              ))}
            </Bubbles>
          )
        }}
      </Answered>
      <form className="row say" onSubmit={submit}>
        <TextField
          label="Say something"
          hint="As a user of your own. What others say is theirs and is not shown."
          maxLength={4_000}
          value={draft}
          disabled={!may}
          onChange={(event) => setDraft(event.target.value)}
        />
        <Button type="submit" kind="primary" icon={Send} disabled={!may || draft.trim() === ''}>
          Send
        </Button>
      </form>
    </Panel>
  )
}

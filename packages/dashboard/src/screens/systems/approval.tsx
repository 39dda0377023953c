import { Check, Send, X } from 'lucide-react'
import { useState } from 'react'
import type { ApprovalDetail } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAction, useAnswer } from '../../api/use-answer.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button } from '../../parts/button.tsx'
import { ConfirmDialog } from '../../parts/confirm-dialog.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { ErrorNote } from '../../parts/error-note.tsx'
import { Status } from '../../parts/status.tsx'
import { TextArea } from '../../parts/text-area.tsx'
import { useSay } from '../../shell/say.tsx'
import { kindOf } from './kinds.ts'

const Words = ({ approval }: { readonly approval: ApprovalDetail }) => (
  <>
    <dl className="pairs">
      <dt>State</dt>
      <dd>
        <Status kind={kindOf(approval.status)}>{approval.status}</Status>
      </dd>
      <dt>To</dt>
      <dd>
        {approval.lead}, <code>{approval.to}</code>, by {approval.channel}
      </dd>
      <dt>Written by</dt>
      <dd>
        {approval.author}
        {approval.editor !== null && `, changed by ${approval.editor}`}
      </dd>
      {approval.subject !== null && (
        <>
          <dt>Subject</dt>
          <dd>{approval.subject}</dd>
        </>
      )}
      {approval.error !== null && (
        <>
          <dt>Error</dt>
          <dd>{approval.error}</dd>
        </>
      )}
    </dl>
    {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard. */}
    <pre className="code" tabIndex={0}>
      {approval.text}
    </pre>
  </>
)

const Reject = ({ id, onClose, onDone }: { readonly id: string; onClose(): void; onDone(): void }) => {
  const act = useAction('POST /systems/act')
  const [reason, setReason] = useState('')
  return (
    <ConfirmDialog
      title="Reject"
      description="It goes back to whoever wrote it, with your reason."
      verb="Reject"
      isDanger
      isOpen
      isDisabled={reason.trim() === ''}
      isBusy={act.isPending}
      error={act.error}
      onConfirm={() => act.mutate({ body: { action: 'reject', id, reason } }, { onSuccess: onDone })}
      onClose={onClose}
    >
      <TextArea label="Reason" rows={3} maxLength={1_000} value={reason} onChange={({ target }) => setReason(target.value)} />
    </ConfirmDialog>
  )
}

/** What is to go out, word for word, and the decision on it. What is approved is what is shown here: other words are refused. */
export const Approval = ({ id, onClose }: { readonly id: string; readonly onClose: () => void }) => {
  const say = useSay()
  const may = useMay('operator')
  const answer = useAnswer('GET /systems/approval', { query: { id } }, { everyMs: 2_000 })
  const act = useAction('POST /systems/act')
  const [isRejecting, setRejecting] = useState(false)
  const { data } = answer
  const isOpen = data?.status === 'pending' || data?.status === 'failed'
  const done = (word: string) => () => {
    onClose()
    say(word)
  }
  return (
    <Dialog
      title={data ? `For ${data.lead}` : 'Approval'}
      description="Nothing goes out before somebody has read it."
      isOpen
      isWide
      onClose={onClose}
      actions={
        <>
          <Button icon={X} disabled={!may || !isOpen} onClick={() => setRejecting(true)}>
            Reject…
          </Button>
          <Button
            icon={Send}
            disabled={!may || (data?.status !== 'approved' && data?.status !== 'failed')}
            isBusy={act.isPending && act.variables?.body.action === 'send'}
            onClick={() =>
              act.mutate({ body: { action: 'send', id } }, { onSuccess: done('It is sent as soon as a sender has time.') })
            }
          >
            {data?.status === 'failed' ? 'Send again' : 'Send'}
          </Button>
          <Button
            kind="primary"
            icon={Check}
            disabled={!may || !isOpen}
            isBusy={act.isPending && act.variables?.body.action === 'approve'}
            onClick={() =>
              data && act.mutate({ body: { action: 'approve', id, hash: data.hash } }, { onSuccess: () => say('Approved.') })
            }
          >
            Approve
          </Button>
        </>
      }
    >
      {act.error && <ErrorNote error={act.error} />}
      <Answered of={answer} height={240}>
        {(approval) => <Words approval={approval} />}
      </Answered>
      {isRejecting && <Reject id={id} onClose={() => setRejecting(false)} onDone={done('Rejected.')} />}
    </Dialog>
  )
}

import { useState } from 'react'
import type { BreakerReport } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAction, useAnswer } from '../../api/use-answer.ts'
import { duration, shellOptions, shellWord } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button } from '../../parts/button.tsx'
import { ConfirmDialog } from '../../parts/confirm-dialog.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { SelectField, TextField } from '../../parts/field.tsx'
import { Note } from '../../parts/note.tsx'
import { Status } from '../../parts/status.tsx'
import { useSay } from '../../shell/say.tsx'
import { kindOf, wordOf } from './breaker-state.ts'
import { TimeLine } from './time-line.tsx'

const acts = {
  open: { verb: 'Hold open', says: 'Calls to it fail at once, until it is let go.', isDanger: true },
  close: { verb: 'Hold closed', says: 'Calls go through, whatever comes of them.', isDanger: true },
  reset: { verb: 'Let go', says: 'It decides by itself again, and begins closed.', isDanger: false },
} as const

type Act = keyof typeof acts

const spans = [
  ['', 'Until it is let go'],
  ['300000', '5 minutes'],
  ['3600000', 'An hour'],
  ['86400000', 'A day'],
] as const

const Force = ({ service, act, onClose }: { readonly service: string; readonly act: Act; readonly onClose: () => void }) => {
  const say = useSay()
  const [reason, setReason] = useState('')
  const [span, setSpan] = useState('')
  const operate = useAction('POST /breakers')
  const { verb, says, isDanger } = acts[act]
  const body = {
    service,
    act,
    reason: reason.trim() || 'from the dashboard',
    ...(span !== '' && act !== 'reset' && { forMs: Number(span) }),
  }
  const forTime = body.forMs === undefined ? undefined : `${body.forMs / 60_000}m`
  const confirm = (): void =>
    operate.mutate(
      { body },
      {
        onSuccess: () => {
          say(`${service}: ${verb.toLowerCase()}, told to all processes.`)
          onClose()
        },
      },
    )
  return (
    <ConfirmDialog
      title={`${verb}: ${service}`}
      description={says}
      verb={verb}
      isDanger={isDanger}
      {...(isDanger && { typed: service })}
      isOpen
      isBusy={operate.isPending}
      error={operate.error}
      copyAs={
        <CopyAs
          path="POST /breakers"
          input={{ body }}
          cli={`npx tidemark breakers ${act} ${shellWord(service)}${shellOptions({ reason: body.reason, for: forTime })}`}
        />
      }
      onConfirm={confirm}
      onClose={onClose}
    >
      <TextField
        label="Reason"
        hint="It stands in the time line, and in the audit log."
        value={reason}
        onChange={(event) => setReason(event.target.value)}
      />
      {act !== 'reset' && (
        <SelectField label="For how long" options={spans} value={span} onChange={(event) => setSpan(event.target.value)} />
      )}
    </ConfirmDialog>
  )
}

/** One breaker: how it stands, what it did, and what to make it do. */
export const BreakerDetail = ({ breaker, onClose }: { readonly breaker: BreakerReport; readonly onClose: () => void }) => {
  const mayForce = useMay('operator')
  const [act, setAct] = useState<Act>()
  const { service } = breaker
  const answer = useAnswer('GET /resilience', { query: { service, limit: 100 } }, { everyMs: 2_000 })
  if (act) return <Force service={service} act={act} onClose={() => setAct(undefined)} />
  const why = mayForce ? undefined : 'This needs the role operator.'
  return (
    <Dialog
      title={service}
      isOpen
      isWide
      onClose={onClose}
      actions={
        <>
          <Button disabled={!mayForce} title={why} onClick={() => setAct('open')}>
            Hold open…
          </Button>
          <Button disabled={!mayForce} title={why} onClick={() => setAct('close')}>
            Hold closed…
          </Button>
          <Button kind="primary" disabled={!mayForce} title={why} onClick={() => setAct('reset')}>
            Let go…
          </Button>
        </>
      }
    >
      <div className="row">
        <Status kind={kindOf(breaker)}>{wordOf(breaker)}</Status>
        <span className="dim">{breaker.scope === 'shared' ? 'as all processes see it' : 'as this process sees it'}</span>
        {breaker.retryAfterMs > 0 && <span className="dim">tried again in {duration(breaker.retryAfterMs)}</span>}
      </div>
      {breaker.reason !== '' && <Note kind="info">{breaker.reason}</Note>}
      <Answered of={answer}>{({ events }) => <TimeLine events={events} />}</Answered>
    </Dialog>
  )
}

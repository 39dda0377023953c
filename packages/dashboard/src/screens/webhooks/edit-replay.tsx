import { useState } from 'react'
import type { EventDetail } from 'tidemark/admin'
import { useAction } from '../../api/use-answer.ts'
import { ConfirmDialog } from '../../parts/confirm-dialog.tsx'
import { TextArea } from '../../parts/text-area.tsx'
import { useSay } from '../../shell/say.tsx'

interface EditReplayProps {
  readonly event: EventDetail
  onClose(): void
}

/** Sends an event through with a body that the operator writes. It begins as what came, byte for byte, or as the last edit of it. */
export const EditReplay = ({ event, onClose }: EditReplayProps) => {
  const say = useSay()
  const [first] = event.edits
  const [payload, setPayload] = useState(first?.raw ?? event.raw)
  const replay = useAction('POST /hooks/replay')
  const send = (): void =>
    replay.mutate(
      { body: { ids: [event.id], payload } },
      {
        onSuccess: () => {
          onClose()
          say('It is sent through with your body.')
        },
      },
    )
  return (
    <ConfirmDialog
      title="Replay with an edited body"
      description={
        <>
          Handlers get this body, and are told that it is edited and that no signature covers it. What {event.provider} sent is
          kept beside it, with your name.
        </>
      }
      verb="Replay edited"
      isWide
      isOpen
      isDisabled={payload === event.raw}
      isBusy={replay.isPending}
      error={replay.error}
      onConfirm={send}
      onClose={onClose}
    >
      <TextArea
        label="Body"
        hint={payload === event.raw ? 'Nothing is changed so far.' : 'JSON, as the provider would send it.'}
        rows={16}
        value={payload}
        onChange={({ target }) => setPayload(target.value)}
      />
    </ConfirmDialog>
  )
}

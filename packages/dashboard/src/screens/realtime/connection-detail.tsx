import { Unplug } from 'lucide-react'
import { useState } from 'react'
import type { ConnectionEntry } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAction } from '../../api/use-answer.ts'
import { bytes, count, counted, duration } from '../../format/format.ts'
import { Button } from '../../parts/button.tsx'
import { ConfirmDialog } from '../../parts/confirm-dialog.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { Note } from '../../parts/note.tsx'
import { Since } from '../../parts/since.tsx'
import { useSay } from '../../shell/say.tsx'

const Facts = ({ connection }: { readonly connection: ConnectionEntry }) => {
  const { protocol, node, since, user, role, told, waitingBytes, unconfirmedMs, silentMs } = connection
  return (
    <dl className="pairs">
      <dt>Protocol</dt>
      <dd>{protocol}</dd>
      <dt>Server</dt>
      <dd>
        <code>{node}</code>
      </dd>
      <dt>Connected</dt>
      <dd>
        <Since at={since} />
      </dd>
      <dt>User</dt>
      <dd>
        {user === null ? 'nobody is signed in' : <code>{user}</code>}
        {role !== null && (
          <>
            , role <code>{role}</code>
          </>
        )}
      </dd>
      <dt>Told</dt>
      <dd>
        {counted(told, 'message')}, {bytes(waitingBytes)} of them unread
        {unconfirmedMs !== null && `; nothing confirmed for ${duration(unconfirmedMs)}`}
      </dd>
      <dt>Last heard of</dt>
      <dd>{duration(silentMs)} before this was asked</dd>
    </dl>
  )
}

interface CloseProps {
  readonly connection: ConnectionEntry
  readonly onClose: () => void
}

const CloseConnection = ({ connection: { id, user }, onClose }: CloseProps) => {
  const say = useSay()
  const close = useAction('POST /realtime/connections/close')
  const body = { id }
  const confirm = (): void =>
    close.mutate(
      { body },
      {
        onSuccess: ({ code, reason, next = '' }) => {
          say(`Closed: ${code}, ${reason}. ${next}`)
          onClose()
        },
      },
    )
  return (
    <ConfirmDialog
      title={`Close the connection ${id}`}
      description={`${user === null ? 'Its client' : `The client of ${user}`} is told that an operator closed it. A client opens another connection after about a second and joins its channels again.`}
      verb="Close connection"
      isDanger
      isOpen
      isBusy={close.isPending}
      error={close.error}
      copyAs={<CopyAs path="POST /realtime/connections/close" input={{ body }} cli={`npx tidemark connections close ${id}`} />}
      onConfirm={confirm}
      onClose={onClose}
    />
  )
}

/** One connection: whose it is, what it listens to, how far behind it is; and closing it. */
export const ConnectionDetail = ({ connection, onClose }: CloseProps) => {
  const mayClose = useMay('operator')
  const [isClosing, setClosing] = useState(false)
  const { id, channels, channelCount } = connection
  if (isClosing) return <CloseConnection connection={connection} onClose={onClose} />
  return (
    <Dialog
      title="Connection"
      description={id}
      isOpen
      isWide
      onClose={onClose}
      actions={
        <Button kind="danger" icon={Unplug} disabled={!mayClose} onClick={() => setClosing(true)}>
          Close connection…
        </Button>
      }
    >
      <Facts connection={connection} />
      <h3>Channels</h3>
      {channelCount === 0 ? (
        <Note kind="info">It has joined none.</Note>
      ) : (
        <ul className="stack" aria-label="Channels of the connection">
          {channels.map((name) => (
            <li key={name}>
              <code>{name}</code>
            </li>
          ))}
        </ul>
      )}
      {channels.length < channelCount && <p className="dim">and {count(channelCount - channels.length)} more</p>}
    </Dialog>
  )
}

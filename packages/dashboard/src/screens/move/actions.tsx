import type { LucideIcon } from 'lucide-react'
import { FileSearch, Flag, Play, RotateCcw, Route, Scale, Trash2 } from 'lucide-react'
import { useState } from 'react'
import type { MoveBoard, OperatorRole } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAction } from '../../api/use-answer.ts'
import { shellOptions, shellWord } from '../../format/format.ts'
import { Button } from '../../parts/button.tsx'
import { ConfirmDialog } from '../../parts/confirm-dialog.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { TextField } from '../../parts/field.tsx'
import { useSay } from '../../shell/say.tsx'
import type { MoveAction } from './advice.ts'

interface Look {
  readonly label: string
  readonly icon: LucideIcon
  readonly needs: OperatorRole
  readonly isDanger?: boolean
}

export const looks: Readonly<Record<MoveAction, Look>> = {
  plan: { label: 'Make the plan', icon: FileSearch, needs: 'operator' },
  copy: { label: 'Copy and follow', icon: Play, needs: 'operator' },
  replace: { label: 'Replace the tables…', icon: Trash2, needs: 'operator', isDanger: true },
  goOn: { label: 'Go on', icon: Play, needs: 'operator' },
  cutover: { label: 'Cut over…', icon: Route, needs: 'operator' },
  settle: { label: 'Finish the switch', icon: Route, needs: 'operator' },
  rollback: { label: 'Roll back…', icon: RotateCcw, needs: 'operator', isDanger: true },
  reads: { label: 'Share of reads…', icon: Scale, needs: 'operator' },
  finish: { label: 'Finish…', icon: Flag, needs: 'admin', isDanger: true },
  abort: { label: 'Abort…', icon: Trash2, needs: 'admin', isDanger: true },
}

/** The last part of a path: what is typed to confirm. */
export const nameOf = (path: string): string => path.split('/').at(-1) ?? path

interface DialogProps {
  readonly file: string
  readonly isOpen: boolean
  readonly onClose: () => void
}

const done = (say: (text: string) => void, onClose: () => void, text: string) => ({
  onSuccess: () => {
    onClose()
    say(text)
  },
})

const pauseForm = /^\d+(\.\d+)?\s*(ms|s|m)$/

const SwitchDialog = ({ file, isOpen, onClose, to }: DialogProps & { readonly to: 'postgres' | 'sqlite' }) => {
  const say = useSay()
  const [maxPause, setMaxPause] = useState('2s')
  const cutover = useAction('POST /move/cutover', { asJob: true })
  const rollback = useAction('POST /move/rollback', { asJob: true })
  const action = to === 'postgres' ? cutover : rollback
  const isPause = pauseForm.test(maxPause.trim())
  const [title, verb, text] =
    to === 'postgres'
      ? ([
          'Cut over to Postgres',
          'Cut over',
          'Postgres takes the writes from now on. The application needs its new address; the way back stays open.',
        ] as const)
      : ([
          'Roll back to SQLite',
          'Roll back',
          'The file takes the writes again, with everything that Postgres took meanwhile.',
        ] as const)
  const body = { file, maxPause: maxPause.trim() }
  const confirm = (): void => {
    if (isPause) action.mutate({ body }, done(say, onClose, `${verb}: begun.`))
  }
  const command = to === 'postgres' ? 'move cutover' : 'move rollback'
  return (
    <ConfirmDialog
      title={title}
      description={text}
      verb={verb}
      isDanger={to === 'sqlite'}
      typed={nameOf(file)}
      isOpen={isOpen}
      isBusy={action.isPending}
      error={action.error}
      copyAs={
        <CopyAs
          path={to === 'postgres' ? 'POST /move/cutover' : 'POST /move/rollback'}
          input={{ body }}
          cli={`npx tidemark ${command} ${shellWord(file)}${shellOptions({ 'max-pause': body.maxPause })}`}
          asJob
        />
      }
      onConfirm={confirm}
      onClose={onClose}
    >
      <TextField
        label="Longest pause of writes"
        hint="Where the switch would take longer it is undone by itself, and the application goes on as before."
        value={maxPause}
        onChange={(event) => setMaxPause(event.target.value)}
        wrong={isPause ? undefined : 'A duration, as in 2s or 500ms.'}
      />
    </ConfirmDialog>
  )
}

const ReadsDialog = ({ file, isOpen, onClose, now }: DialogProps & { readonly now: number }) => {
  const say = useSay()
  const [percent, setPercent] = useState(now)
  const reads = useAction('POST /move/reads')
  return (
    <ConfirmDialog
      title="Share of reads from Postgres"
      description="Applications on Tidemark's store read that share from Postgres before the cutover. Writes stay with the file."
      verb="Set"
      isOpen={isOpen}
      isBusy={reads.isPending}
      error={reads.error}
      copyAs={
        <CopyAs
          path="POST /move/reads"
          input={{ body: { file, percent } }}
          cli={`npx tidemark move reads ${shellWord(file)} ${percent}%`}
        />
      }
      onConfirm={() =>
        reads.mutate({ body: { file, percent } }, done(say, onClose, `Postgres answers ${percent} % of the reads.`))
      }
      onClose={onClose}
    >
      <TextField
        label="Percent"
        type="number"
        min={0}
        max={100}
        value={percent}
        onChange={(event) => setPercent(Math.min(100, Math.max(0, Math.round(event.target.valueAsNumber || 0))))}
      />
    </ConfirmDialog>
  )
}

const EndDialog = ({ file, isOpen, onClose, how }: DialogProps & { readonly how: 'finish' | 'abort' | 'replace' }) => {
  const say = useSay()
  const finish = useAction('POST /move/finish', { asJob: true })
  const abort = useAction('POST /move/abort', { asJob: true })
  const follow = useAction('POST /move/follow', { asJob: true })
  const words = {
    finish: [
      'Finish the move',
      'Finish',
      'This closes the way back: the file is no longer kept in step, and its triggers are taken out.',
    ],
    abort: [
      'Abort the move',
      'Abort',
      'The copy in Postgres is dropped, and the file is as it was before. The application notices nothing.',
    ],
    replace: [
      'Replace the tables in Postgres',
      'Drop and copy anew',
      'The tables of these names in Postgres are dropped with all that they hold, and copied anew.',
    ],
  } as const
  const copies = {
    finish: (
      <CopyAs
        path="POST /move/finish"
        input={{ body: { file, yes: true } }}
        cli={`npx tidemark move finish ${shellWord(file)} --yes`}
        asJob
      />
    ),
    abort: <CopyAs path="POST /move/abort" input={{ body: { file } }} cli={`npx tidemark move abort ${shellWord(file)}`} asJob />,
    replace: (
      <CopyAs
        path="POST /move/follow"
        input={{ body: { file, until: 'ended', onExisting: 'replace' } }}
        cli={`npx tidemark move --on-existing replace ${shellWord(file)}`}
        asJob
      />
    ),
  }
  const [title, verb, text] = words[how]
  const settled = done(say, onClose, `${verb}: begun.`)
  const run = {
    finish: () => finish.mutate({ body: { file, yes: true } }, settled),
    abort: () => abort.mutate({ body: { file } }, settled),
    replace: () => follow.mutate({ body: { file, until: 'ended', onExisting: 'replace' } }, settled),
  }
  const { isPending, error } = { finish, abort, replace: follow }[how]
  return (
    <ConfirmDialog
      title={title}
      description={text}
      verb={verb}
      isDanger
      typed={nameOf(file)}
      isOpen={isOpen}
      isBusy={isPending}
      error={error}
      copyAs={copies[how]}
      onConfirm={run[how]}
      onClose={onClose}
    />
  )
}

const dialogs: ReadonlySet<MoveAction> = new Set(['cutover', 'rollback', 'reads', 'finish', 'abort', 'replace'])

/** What buttons do: some at once, some after a question. */
export const useMoveActions = (file: string, board: MoveBoard) => {
  const [asked, setAsked] = useState<MoveAction>()
  const plan = useAction('POST /move/plan', { asJob: true })
  const follow = useAction('POST /move/follow', { asJob: true })
  const settle = useAction('POST /move/cutover', { asJob: true })
  const run = (action: MoveAction): void => {
    if (dialogs.has(action)) setAsked(action)
    else if (action === 'plan') plan.mutate({ body: { file } })
    else if (action === 'settle') settle.mutate({ body: { file } })
    else follow.mutate({ body: { file, until: 'ended' } })
  }
  const close = (): void => setAsked(undefined)
  const props = { file, onClose: close }
  return {
    run,
    error: plan.error ?? follow.error ?? settle.error,
    isBusy: plan.isPending || follow.isPending || settle.isPending,
    dialogs: (
      <>
        <SwitchDialog {...props} to="postgres" isOpen={asked === 'cutover'} />
        <SwitchDialog {...props} to="sqlite" isOpen={asked === 'rollback'} />
        <ReadsDialog {...props} now={board.move?.readsPercent ?? 0} isOpen={asked === 'reads'} key={board.move?.readsPercent} />
        <EndDialog {...props} how="finish" isOpen={asked === 'finish'} />
        <EndDialog {...props} how="abort" isOpen={asked === 'abort'} />
        <EndDialog {...props} how="replace" isOpen={asked === 'replace'} />
      </>
    ),
  }
}

interface ActionButtonProps {
  readonly action: MoveAction
  /** Instead of its usual words. */
  readonly label?: string | undefined
  readonly isPrimary?: boolean
  readonly blocked?: string | undefined
  readonly isBusy: boolean
  readonly onRun: (action: MoveAction) => void
}

export const ActionButton = ({ action, label: given, isPrimary = false, blocked, isBusy, onRun }: ActionButtonProps) => {
  const { label, icon, needs, isDanger = false } = looks[action]
  const may = useMay(needs)
  const why = may ? blocked : `This needs the role ${needs}.`
  return (
    <Button
      kind={isPrimary ? (isDanger ? 'danger' : 'primary') : 'plain'}
      icon={icon}
      disabled={why !== undefined}
      title={why === undefined ? undefined : `Not yet: ${why}`}
      isBusy={isPrimary && isBusy}
      onClick={() => onRun(action)}
    >
      {given ?? label}
    </Button>
  )
}

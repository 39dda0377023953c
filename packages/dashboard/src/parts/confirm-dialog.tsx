import { type FormEvent, type ReactNode, useId, useState } from 'react'
import { Button } from './button.tsx'
import { Dialog } from './dialog.tsx'
import { ErrorNote } from './error-note.tsx'
import { TextField } from './field.tsx'

export interface ConfirmDialogProps {
  readonly title: string
  readonly description: ReactNode
  /** On the button: the verb of what happens. */
  readonly verb: string
  readonly isDanger?: boolean
  readonly isWide?: boolean
  /** Nothing to confirm so far. */
  readonly isDisabled?: boolean
  /** What has to be typed first; left out where a look is enough. */
  readonly typed?: string
  readonly isOpen: boolean
  readonly isBusy?: boolean
  readonly error?: Error | null
  /** The same as a command. */
  readonly copyAs?: ReactNode
  onConfirm(): void
  onClose(): void
  readonly children?: ReactNode
}

/** Asks before something that is not undone by a click. */
export const ConfirmDialog = (props: ConfirmDialogProps) => {
  const { title, description, verb, isDanger = false, isWide = false, isDisabled = false, typed, isOpen, isBusy = false } = props
  const { error, copyAs, onConfirm, onClose, children } = props
  const [given, setGiven] = useState('')
  const form = useId()
  const isConfirmed = !isDisabled && (typed === undefined || given.trim() === typed)
  const close = (): void => {
    setGiven('')
    onClose()
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (isConfirmed && !isBusy) onConfirm()
  }
  return (
    <Dialog
      title={title}
      description={description}
      isOpen={isOpen}
      isWide={isWide}
      onClose={close}
      actions={
        <>
          {copyAs}
          <Button onClick={close}>Cancel</Button>
          <Button type="submit" form={form} kind={isDanger ? 'danger' : 'primary'} disabled={!isConfirmed} isBusy={isBusy}>
            {verb}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} className="stack">
        {children}
        {typed !== undefined && (
          <TextField
            label={`Type ${typed} to confirm`}
            value={given}
            onChange={(event) => setGiven(event.target.value)}
            autoCapitalize="off"
          />
        )}
        {error && <ErrorNote error={error} />}
      </form>
    </Dialog>
  )
}

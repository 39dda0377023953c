import { Eye, EyeOff } from 'lucide-react'
import { type FormEvent, useEffect, useRef, useState } from 'react'
import { useMay } from '../../api/session.ts'
import { timeOfDay } from '../../format/format.ts'
import { Button } from '../../parts/button.tsx'
import { ErrorNote } from '../../parts/error-note.tsx'
import { TextField } from '../../parts/field.tsx'
import { Note } from '../../parts/note.tsx'
import { useSay } from '../../shell/say.tsx'
import type { YarnWordsView } from './use-yarn-words.ts'

/** Whoever does not see the page hears it, and whoever reads when the time is over is told why there is nothing any more. */
const useTold = (isShown: boolean): void => {
  const say = useSay()
  const was = useRef(isShown)
  useEffect(() => {
    if (was.current !== isShown) say(isShown ? 'What was said is shown.' : 'What was said is hidden again.', 'info')
    was.current = isShown
  }, [isShown, say])
}

/** Asks why before words are shown, and takes them away again. */
export const YarnWordsForm = ({ of: { shown, error, isBusy, show, hide } }: { readonly of: YarnWordsView }) => {
  const may = useMay('admin')
  const [reason, setReason] = useState('')
  useTold(shown !== undefined)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (reason.trim() === '' || isBusy) return
    show(reason.trim())
    setReason('')
  }
  if (!may) return <Note>What was said is shown to an admin alone, who says why.</Note>
  if (shown)
    return (
      <Note kind="warn">
        <div className="row">
          <span>
            What was said is shown until {timeOfDay(shown.untilMs)}, or until you close this. The audit log has that you looked,
            and why.
          </span>
          <Button icon={EyeOff} onClick={hide}>
            Hide the words
          </Button>
        </div>
      </Note>
    )
  return (
    <>
      {error && <ErrorNote error={error} />}
      <form className="row say" onSubmit={submit}>
        <TextField
          label="Why do you have to read it?"
          hint="The audit log keeps who looked, when, at which yarn and why, before anything is shown."
          maxLength={300}
          value={reason}
          onChange={({ target }) => setReason(target.value)}
        />
        <Button type="submit" icon={Eye} disabled={reason.trim() === ''} isBusy={isBusy}>
          Show the words
        </Button>
      </form>
    </>
  )
}

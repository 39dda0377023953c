import { RotateCw } from 'lucide-react'
import { AskError } from '../api/ask.ts'
import { Button } from './button.tsx'
import { Note } from './note.tsx'

/** What went wrong, its code, and what to do about it. */
export const ErrorNote = ({ error, onRetry }: { readonly error: Error; readonly onRetry?: () => void }) => {
  const known = error instanceof AskError ? error : undefined
  return (
    <div role="alert">
      <Note kind="bad">
        <p>{error.message}</p>
        {known?.fix !== undefined && <p className="dim">{known.fix}</p>}
        {known && <code>{known.code}</code>}
        {onRetry && (
          <div className="row">
            <Button kind="plain" icon={RotateCw} onClick={onRetry}>
              Try again
            </Button>
          </div>
        )}
      </Note>
    </div>
  )
}

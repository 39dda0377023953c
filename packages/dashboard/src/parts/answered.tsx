import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { AskError } from '../api/ask.ts'
import { ErrorNote } from './error-note.tsx'
import { Note } from './note.tsx'

export interface AnsweredProps<T> {
  readonly of: Pick<UseQueryResult<T, AskError>, 'data' | 'error' | 'refetch'>
  /** In pixels: what will be there takes about so much. Default 120. */
  readonly height?: number
  readonly children: (answer: T) => ReactNode
}

/** What was asked for, or what stands in its place: a shape while it is awaited, the error where it failed. An old answer stays, with the error above it. */
export const Answered = <T,>({ of: { data, error, refetch }, height = 120, children }: AnsweredProps<T>) => {
  // A session that ended has the whole page say so.
  const isShown = error && error.status !== 401
  if (data === undefined && !isShown)
    return (
      <div className="skeleton" style={{ height }} role="status">
        <span className="hidden">Loading</span>
      </div>
    )
  return (
    <>
      {isShown && error.status === 403 && <Note kind="warn">{error.message}</Note>}
      {isShown && error.status !== 403 && <ErrorNote error={error} onRetry={() => void refetch()} />}
      {data !== undefined && children(data)}
    </>
  )
}

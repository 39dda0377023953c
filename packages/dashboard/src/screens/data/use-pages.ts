import { useQueries } from '@tanstack/react-query'
import { useCallback, useState } from 'react'
import { type AskError, ask, type Input } from '../../api/ask.ts'
import { answerKey } from '../../api/use-answer.ts'

export const pageSize = 200
/** Of those that were scrolled past, so many stay. */
const mostPages = 6

export type RowsInput = Input<'GET /data/rows'>

export interface Pages {
  /** Undefined while it is fetched. */
  rowAt(index: number): readonly (string | null)[] | undefined
  /** Of the first page. */
  readonly columns: readonly string[] | undefined
  readonly error: AskError | null
  retry(): void
  /** Told of each row that comes into view. */
  want(index: number): void
}

/** Rows of a long table: only the pages that are looked at are fetched. */
export const usePages = (query: RowsInput['query']): Pages => {
  const [wanted, setWanted] = useState<readonly number[]>([0])
  const answers = useQueries({
    queries: wanted.map((page) => {
      const input: RowsInput = { query: { ...query, offset: page * pageSize, limit: pageSize } }
      return {
        queryKey: answerKey('GET /data/rows', input),
        queryFn: ({ signal }: { readonly signal: AbortSignal }) => ask('GET /data/rows', input, { signal }),
        staleTime: 30_000,
      }
    }),
  })
  const want = useCallback((index: number) => {
    const page = Math.floor(index / pageSize)
    setWanted((before) => (before.includes(page) ? before : [...before, page].slice(-mostPages)))
  }, [])
  return {
    want,
    rowAt: (index) => {
      const at = wanted.indexOf(Math.floor(index / pageSize))
      return answers[at]?.data?.rows[index % pageSize]
    },
    columns: answers.find(({ data }) => data !== undefined)?.data?.columns,
    error: (answers.find(({ error }) => error !== null)?.error as AskError | undefined) ?? null,
    retry: () => void Promise.all(answers.map(({ refetch, isError }) => isError && refetch())),
  }
}

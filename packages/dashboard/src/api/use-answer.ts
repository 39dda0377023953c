import {
  keepPreviousData,
  type QueryKey,
  type UseQueryResult,
  useMutation,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query'
import { useLive } from '../shell/live.tsx'
import { type Answer, type AskError, ask, type Input, type Path } from './ask.ts'

export const answerKey = <P extends Path>(path: P, input: Input<P>): QueryKey => [path, input]

export interface AnswerOptions {
  /** Asked again after so long, unless the page is paused or hidden. Left out: only when something changed. */
  readonly everyMs?: number | undefined
  readonly enabled?: boolean
}

/** What the server says, kept fresh while the page is live. */
export const useAnswer = <P extends Path>(
  path: P,
  input: Input<P>,
  options: AnswerOptions = {},
): UseQueryResult<Answer<P>, AskError> => {
  const { isLive } = useLive()
  const { everyMs, enabled = true } = options
  return useQuery<Answer<P>, AskError>({
    queryKey: answerKey(path, input),
    queryFn: ({ signal }) => ask(path, input, { signal }),
    refetchInterval: isLive && everyMs !== undefined ? everyMs : false,
    // What was asked with other filters stays until the new answer is there.
    placeholderData: keepPreviousData as never,
    enabled,
  }) as UseQueryResult<Answer<P>, AskError>
}

/** Something that an operator does. When it is done, whatever is on the screen is asked for anew. */
export const useAction = <P extends Path>(path: P, { asJob = false }: { readonly asJob?: boolean } = {}) => {
  const client = useQueryClient()
  return useMutation<Answer<P>, AskError, Input<P>>({
    mutationFn: (input) => ask(path, input, { asJob }),
    onSettled: () => void client.invalidateQueries(),
  })
}

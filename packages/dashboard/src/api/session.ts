import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { OperatorRole, SessionAnswer, SignInRequest } from 'tidemark/admin'
import { AskError, ask, keepCsrf } from './ask.ts'

export const sessionKey = ['session'] as const

const readSession = async (signal?: AbortSignal): Promise<SessionAnswer | null> => {
  try {
    const session = await ask('GET /session', {}, { signal })
    keepCsrf(session.csrf)
    return session
  } catch (error) {
    if (error instanceof AskError && error.status === 401) return null
    throw error
  }
}

/** Who looks: undefined while that is asked, null where nobody is signed in. */
export const useSession = () =>
  useQuery<SessionAnswer | null, AskError>({
    queryKey: sessionKey,
    queryFn: ({ signal }) => readSession(signal),
    staleTime: Number.POSITIVE_INFINITY,
    refetchInterval: 5 * 60_000,
  })

export const useSignIn = () => {
  const client = useQueryClient()
  return useMutation<SessionAnswer, AskError, SignInRequest>({
    mutationFn: (body) => ask('POST /session', { body }),
    onSuccess: async (session) => {
      keepCsrf(session.csrf)
      client.setQueryData(sessionKey, session)
      await client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionKey[0] })
    },
  })
}

export const useSignOut = () => {
  const client = useQueryClient()
  return useMutation<unknown, AskError>({
    mutationFn: () => ask('DELETE /session', {}),
    onSuccess: () => {
      keepCsrf(undefined)
      // What the last operator saw is not for the next.
      client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionKey[0] })
      client.setQueryData(sessionKey, null)
    },
  })
}

const ranks: Readonly<Record<OperatorRole, number>> = { viewer: 0, operator: 1, admin: 2 }

/** Whether who is signed in may do what needs a role. The server has the last word. */
export const useMay = (role: OperatorRole): boolean => {
  const { data } = useSession()
  return data ? ranks[data.operator.role] >= ranks[role] : false
}

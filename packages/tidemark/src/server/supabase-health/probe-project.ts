import { accessibleOf, type HealthTable, type Probe } from './health-tables.js'

export interface ProjectAccess {
  readonly url: string
  /** The service role's key, or the anon key where only that is known. */
  readonly key: string
}

/** `served`: read. `refused`: the project answers, and this is not for us or not there. `away`: nobody is served. */
type Answer = 'served' | 'refused' | 'away'

/** A key that is not known and a table that is not granted both come as 401; only the second is Postgres' word. */
const isPermission = async (response: Response): Promise<boolean> => {
  const body = (await response.json().catch(() => null)) as { readonly code?: unknown } | null
  return body?.code === '42501'
}

const answerOf = async (response: Response): Promise<Answer> => {
  if (response.ok) return 'served'
  if (response.status >= 500) return 'away'
  return response.status !== 401 || (await isPermission(response)) ? 'refused' : 'away'
}

/** Neither the key nor what the project says goes any further. */
const ask = async ({ url, key }: ProjectAccess, path: string, headers: object, signal: AbortSignal): Promise<Answer> => {
  try {
    const response = await fetch(`${url.replace(/\/+$/, '')}/rest/v1/${path}`, {
      headers: { apikey: key, authorization: `Bearer ${key}`, ...headers },
      redirect: 'manual',
      signal,
    })
    const answer = await answerOf(response)
    if (!response.bodyUsed) await response.body?.cancel()
    return answer
  } catch {
    return 'away'
  }
}

/** Asks a project of the cloud for each table over REST, as an application would. */
export const probeProject = async (
  access: ProjectAccess,
  tables: readonly HealthTable[],
  signal: AbortSignal,
): Promise<Probe> => {
  if (tables.length === 0) return { reachable: (await ask(access, '', {}, signal)) !== 'away', accessible: {} }
  const answers = await Promise.all(
    tables.map(({ schema, table }) =>
      ask(access, `${encodeURIComponent(table)}?select=*&limit=0`, { 'accept-profile': schema }, signal),
    ),
  )
  return {
    reachable: answers.some((answer) => answer !== 'away'),
    accessible: accessibleOf(
      tables,
      answers.map((answer) => answer === 'served'),
    ),
  }
}

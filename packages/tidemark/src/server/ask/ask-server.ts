import { errorOfJson, TidemarkError } from '../../errors.js'
import { findServer } from '../project/presence.js'
import type { Project } from '../project/project.js'

const askTimeoutMs = 30_000

/** What the project's server answers; undefined where none runs, or it has no such path. Raises what the server raised, else TM_SERVER_REFUSED. */
export const askServer = async <T>(project: Project, path: string, body?: unknown): Promise<T | undefined> => {
  const server = await findServer(project.state)
  if (!server) return undefined
  const authorization = `Bearer ${await project.state.secret('admin-token')}`
  const response = await fetch(`${server.url}/admin/v1${path}`, {
    headers: { authorization, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(askTimeoutMs),
    ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
  }).catch(() => undefined)
  if (!response) return undefined
  if (response.ok) return (await response.json()) as T
  const { error } = (await response.json().catch(() => ({}))) as { readonly error?: unknown }
  const told = errorOfJson(error)
  if (told ? told.code === 'TM_SERVER_NOT_FOUND' : response.status === 404) return undefined
  throw (
    told ??
    new TidemarkError('TM_SERVER_REFUSED', { url: server.url, reason: `it answered ${response.status}`, fix: 'See its log.' })
  )
}

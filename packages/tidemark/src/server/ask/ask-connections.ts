import { TidemarkError } from '../../errors.js'
import type { ConnectionPage, EndedConnection } from '../../realtime/connections/connections.js'
import type { ConnectionsRequest } from '../operations/realtime-connections.js'
import type { Project } from '../project/project.js'
import { askServer } from './ask-server.js'

/** Connections are those of servers that run. Raises TM_REALTIME_OFF where none does. */
const ask = async <T>(project: Project, path: string, body?: unknown): Promise<T> => {
  const answer = await askServer<T>(project, path, body)
  if (answer === undefined) throw new TidemarkError('TM_REALTIME_OFF', {})
  return answer
}

export const askConnections = (project: Project, request: ConnectionsRequest): Promise<ConnectionPage> => {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(request)) if (value !== undefined) query.set(name, String(value))
  return ask(project, `/realtime/connections?${query}`)
}

/** Raises TM_REALTIME_NO_CONNECTION. */
export const askClose = (project: Project, id: string): Promise<EndedConnection> =>
  ask(project, '/realtime/connections/close', { id })

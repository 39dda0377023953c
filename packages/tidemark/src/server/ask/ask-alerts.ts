import { TidemarkError } from '../../errors.js'
import type * as operations from '../operations/alerts.js'
import type { Project } from '../project/project.js'
import { askServer } from './ask-server.js'

/** Alerts are a server's: it knows the channels, and tells. Raises TM_ALERTS_OFF where none runs. */
const ask = async <T>(project: Project, path: string, body?: unknown): Promise<T> => {
  const answer = await askServer<T>(project, path, body)
  if (answer === undefined) throw new TidemarkError('TM_ALERTS_OFF', {})
  return answer
}

export const askAlerts = (project: Project, status: string | undefined): Promise<operations.AlertsReport> =>
  ask(project, status === undefined ? '/alerts' : `/alerts?status=${encodeURIComponent(status)}`)

export const askAck = (project: Project, id: string, actor: string): Promise<operations.AlertView> =>
  ask(project, '/alerts/ack', { id, actor })

export const askResolve = (project: Project, id: string, actor: string): Promise<operations.AlertView> =>
  ask(project, '/alerts/resolve', { id, actor })

export const askSilence = (
  project: Project,
  request: { readonly matchers: readonly string[]; readonly author: string; readonly comment: string; readonly forMs: number },
): Promise<operations.SilenceView> => ask(project, '/alerts/silence', request)

export const askUnsilence = (project: Project, id: string, actor: string): Promise<operations.SilenceView> =>
  ask(project, '/alerts/unsilence', { id, actor })

export const askTest = (project: Project, channel: string): Promise<operations.TestReport> =>
  ask(project, '/alerts/test', { channel })

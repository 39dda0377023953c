import type { ReplayView } from '../../webhooks/replay/replays.js'
import type { EventDetail } from '../../webhooks/replay/stored-events.js'
import * as operations from '../operations/hooks.js'
import type { Project } from '../project/project.js'
import { askServer } from './ask-server.js'

/** Of the project's server; without one, of its Postgres. */
export const askHooksList = async (project: Project, request: operations.ListRequest): Promise<operations.ListReport> =>
  (await askServer<operations.ListReport>(project, '/hooks/list', request)) ?? operations.hooksList(project, request)

export const askHooksShow = async (project: Project, id: string): Promise<EventDetail> =>
  (await askServer<EventDetail>(project, `/hooks/show?id=${encodeURIComponent(id)}`)) ?? operations.hooksShow(project, id)

export const askHooksReplay = async (project: Project, request: operations.ReplayRequest): Promise<operations.ReplayReport> =>
  (await askServer<operations.ReplayReport>(project, '/hooks/replay', request)) ?? operations.hooksReplay(project, request)

export const askHooksReplays = async (project: Project): Promise<{ readonly replays: readonly ReplayView[] }> =>
  (await askServer<{ readonly replays: readonly ReplayView[] }>(project, '/hooks/replays')) ?? operations.hooksReplays(project)

export const askReplayState = async (project: Project, id: string): Promise<ReplayView | null> =>
  (await askServer<ReplayView | null>(project, `/hooks/replay?id=${encodeURIComponent(id)}`)) ??
  operations.hooksReplayState(project, id)

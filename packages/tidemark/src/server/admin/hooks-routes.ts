import type { FastifyInstance } from 'fastify'
import type { Pool } from '../../postgres/postgres.js'
import { validate } from '../http/validate.js'
import * as hooks from '../operations/hooks.js'
import type { Project } from '../project/project.js'

export interface HooksRoutesOptions {
  /** Raises TM_SERVER_STARTING until Postgres is there. */
  project(): Project
  /** Of requests. Undefined while the server starts. */
  pool(): Pool | undefined
}

/** /hooks, /hooks/show, /hooks/replay and /hooks/replays. */
export const addHooksRoutes = (app: FastifyInstance, { project, pool }: HooksRoutesOptions): void => {
  app.post('/hooks/list', async (request) => hooks.hooksList(project(), validate(hooks.listRequest, request.body), pool()))
  app.get('/hooks/show', async (request) => hooks.hooksShow(project(), validate(hooks.showRequest, request.query).id, pool()))
  app.post('/hooks/replay', async (request) => hooks.hooksReplay(project(), validate(hooks.replayRequest, request.body), pool()))
  app.get('/hooks/replays', async () => hooks.hooksReplays(project(), pool()))
  app.get('/hooks/replay', async (request) =>
    hooks.hooksReplayState(project(), validate(hooks.replayIdRequest, request.query).id, pool()),
  )
}

import type { FastifyInstance, FastifyRequest } from 'fastify'
import { validate } from '../http/validate.js'
import type { ViewpointRequest } from '../operations/data.js'
import type { RoleReads } from '../operations/role-reads.js'
import { operatorOf, requireRole } from './operator.js'

export interface DataRoutesOptions {
  /** Raises TM_SERVER_STARTING until Postgres is there. */
  reads(): RoleReads
}

/** Past row security looks who could change it. Raises TM_SERVER_FORBIDDEN. */
export const checkViewpoint = (request: FastifyRequest, { role }: Pick<ViewpointRequest, 'role'>): void => {
  if (role === 'service_role') requireRole(operatorOf(request), 'admin')
}

/** Few starts are followed by such a question, so none waits for the code that answers it. */
const load = () => import('../operations/data.js')

/** /data/tables, /data/rows and /data/count. */
export const addDataRoutes = (app: FastifyInstance, { reads }: DataRoutesOptions): void => {
  const checked = <W extends Pick<ViewpointRequest, 'role'>>(request: FastifyRequest, wanted: W): W => {
    checkViewpoint(request, wanted)
    return wanted
  }
  app.get('/data/tables', async (request) => {
    const { dataTables, viewpointRequest } = await load()
    return dataTables(reads(), checked(request, validate(viewpointRequest, request.query)))
  })
  app.get('/data/rows', async (request) => {
    const { dataRows, dataRowsRequest } = await load()
    return dataRows(reads(), checked(request, validate(dataRowsRequest, request.query)))
  })
  app.get('/data/count', async (request) => {
    const { dataCount, dataCountRequest } = await load()
    return dataCount(reads(), checked(request, validate(dataCountRequest, request.query)))
  })
}

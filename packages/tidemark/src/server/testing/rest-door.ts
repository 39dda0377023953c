import type { Caller, Values } from '../../testing/access-matrix/declaration.js'
import type { Door } from '../../testing/access-matrix/door.js'
import { type Outcome, outcomeOfError, outcomeOfRows } from '../../testing/access-matrix/outcome.js'
import type { RestServer } from './use-rest-server.js'

interface Answer {
  readonly status: number
  readonly count: number | null
  readonly error: { readonly code: string; readonly message: string } | null
}

/** Of a refusal that says where in Postgres it came from, in words alone. */
const routineOf = (message: string): string => (message.startsWith('permission denied') ? 'aclcheck_error' : 'policy')

const outcomeOf = ({ status, count, error }: Answer): Outcome => {
  if (!error) return outcomeOfRows(count ?? 0)
  // Nobody is let in under that token.
  if (status === 401 && error.code.startsWith('PGRST'))
    return { kind: 'denied', rows: 0, detail: `${error.code}: ${error.message}` }
  return outcomeOfError(Object.assign(new Error(error.message), { code: error.code, routine: routineOf(error.message) }))
}

/** The rows of `/rest/v1`, asked for by postgrest-js; each request is rolled back. */
export const restDoor = (server: Pick<RestServer, 'clientOf'>): Door => {
  const clients = new Map<Caller, ReturnType<RestServer['clientOf']>>()
  // The client's types follow a schema that it is generated from; this one has none.
  // biome-ignore lint/suspicious/noExplicitAny: a table of whatever schema
  const from = async (caller: Caller, table: string): Promise<any> => {
    const client = clients.get(caller) ?? server.clientOf({ role: caller.role, claims: caller.claims ?? {} })
    clients.set(caller, client)
    return (await client).from(table as never)
  }
  const count = { count: 'exact' } as const
  const columnsOf = (where: Values): string => (Object.keys(where).length === 0 ? '*' : Object.keys(where).join(','))
  return {
    select: async (caller, table, where) =>
      outcomeOf(await (await from(caller, table)).select(columnsOf(where), count).match(where)),
    insert: async (caller, table, values) => outcomeOf(await (await from(caller, table)).insert(values, count).rollback()),
    update: async (caller, table, values, where) =>
      outcomeOf(await (await from(caller, table)).update(values, count).match(where).rollback()),
    delete: async (caller, table, where) => outcomeOf(await (await from(caller, table)).delete(count).match(where).rollback()),
  }
}

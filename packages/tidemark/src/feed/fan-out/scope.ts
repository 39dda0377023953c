import { sqlstateOf } from '../../postgres/postgres-error.js'
import { type Asker, databaseOid } from '../slots.js'

/** Some services do not let everybody ask for the control data. */
const systemId = async (client: Asker): Promise<string> => {
  try {
    const { rows } = await client.query<{ id: string }>('select system_identifier::text as id from pg_control_system()')
    return rows[0]?.id ?? '0'
  } catch (error) {
    if (sqlstateOf(error) !== '42501') throw error
    return '0'
  }
}

/** Names a feed of this database: nodes that share it share one stream, others of the same Redis do not. */
export const scopeOf = async (client: Asker, name: string): Promise<string> =>
  `${await systemId(client)}-${await databaseOid(client)}-${name}`

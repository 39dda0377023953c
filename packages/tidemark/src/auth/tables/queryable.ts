import type { Client } from '../../postgres/postgres.js'

/** What statements run on: a transaction, or a pool for one that stands alone. */
export type Queryable = Pick<Client, 'query'>

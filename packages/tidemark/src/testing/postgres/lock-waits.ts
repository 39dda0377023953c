/** Locks that sessions of this database wait for, for `select from …`: the server of the tests has many databases, whose tables and locks have the same numbers. */
export const lockWaits =
  'pg_locks where not granted and database = (select oid from pg_database where datname = current_database())'

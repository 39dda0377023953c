import type { TidemarkConfig } from '../../config/config.js'
import type { Logger } from '../../observability/observability.js'
import type { State } from '../../state/state.js'
import type { Database } from '../database/database.js'

/** What the operations work on: a project's configuration and state, and its Postgres when they need it. */
export interface Project {
  readonly config: TidemarkConfig
  readonly state: State
  readonly log: Logger
  /** The project's folder: relative paths start here. */
  readonly cwd: string
  /** Runs `fn` with the project's Postgres, or with another where its connection string is given. */
  withDatabase<T>(url: string | undefined, fn: (database: Database) => Promise<T>): Promise<T>
}

const withOpened = async <T>(
  { config, state, log, cwd }: Omit<Project, 'withDatabase'>,
  url: string | undefined,
  fn: (database: Database) => Promise<T>,
): Promise<T> => {
  const { openDatabase } = await import('../database/database.js')
  const database = await openDatabase({ config, state, log, cwd, ...(url !== undefined && { url }) })
  try {
    return await fn(database)
  } finally {
    await database.stop()
  }
}

/** A project as a server sees it: its Postgres is the one that is open; any other is opened for the call. */
export const projectOver = (database: Database, parts: Omit<Project, 'withDatabase'>): Project => ({
  ...parts,
  withDatabase: async (url, fn) => (url === undefined ? fn(database) : withOpened(parts, url, fn)),
})

export interface OpenProjectOptions {
  readonly config: TidemarkConfig
  readonly log: Logger
  readonly cwd: string
}

/** A project as a command uses it: its Postgres is opened for each call, which attaches to a running one. */
export const openProject = async ({ config, log, cwd }: OpenProjectOptions): Promise<Project> => {
  const { openState } = await import('../../state/state.js')
  const parts = { config, log, cwd, state: await openState(config.stateDir) }
  return { ...parts, withDatabase: (url, fn) => withOpened(parts, url, fn) }
}

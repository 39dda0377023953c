/**
 * Clusters that were used before: one is made and one is prepared in a run, and they are copied for whoever does not look at how that is done. Each
 * copy has the same passwords and an identifier of its own.
 */
import { execFile } from 'node:child_process'
import { chmod, mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../postgres/embedded/embedded.js'
import { withLock } from '../../state/lock.js'
import { openState } from '../../state/state.js'
import { systemClock } from '../../time/clock.js'
import { giveIdentity } from '../postgres/cluster-identity.js'
import { runCli } from './cli-call.js'
import { createProjectFolder } from './cli-process.js'

/** Set by the run's global setup: the folder in which what is copied is kept. */
export const preparedVariable = 'TIDEMARK_TEST_PREPARED'

const stateName = '.tidemark'

/** `bare` is a cluster as it was made, `project` one that Tidemark has prepared. */
type Kind = 'bare' | 'project'

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** As root the embedded Postgres runs as another user, who has to find its way through the folder. */
const openWay = (folder: string): Promise<void> => chmod(folder, 0o755)

const copyCluster = async (from: string, to: string): Promise<void> => {
  await mkdir(to, { recursive: true, mode: 0o700 })
  await promisify(execFile)('cp', ['-Rp', `${from}/.`, to])
  await giveIdentity(join(to, 'postgres/data'))
}

const makers: Readonly<Record<Kind, (state: string) => Promise<void>>> = {
  bare: async (state) => {
    const server = await startEmbeddedPostgres({ state: await openState(state), disposable: true, restart: false })
    await server.stop()
  },
  project: async (state) => {
    await copyCluster(await stateOf('bare'), state)
    const { exitCode, stderr } = await runCli(['db', 'psql', '--json', '-c', 'select 1'], { cwd: dirname(state) })
    if (exitCode !== 0) throw new Error(`a project could not be prepared: ${stderr}`)
  },
}

const make = async (kind: Kind, project: string): Promise<void> => {
  const unfinished = `${project}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished)
  await openWay(unfinished)
  await makers[kind](join(unfinished, stateName))
  // A port belongs to one project.
  await rm(join(unfinished, stateName, 'children'), { recursive: true, force: true })
  await rename(unfinished, project)
}

/** What is copied; made by whoever asks first. */
const stateOf = async (kind: Kind): Promise<string> => {
  const folder = process.env[preparedVariable]
  if (!folder)
    throw new Error(`${preparedVariable} is not set: does the test's name end in .e2e.test.ts, and is the setup in place?`)
  const project = join(folder, kind)
  const options = { timeoutMs: 120_000, clock: systemClock }
  if (!(await isThere(project)))
    await withLock(`${project}.lock`, async () => (await isThere(project)) || (await make(kind, project)), options)
  return join(project, stateName)
}

/** Fills a state folder with a cluster that nobody has prepared. */
export const copyBareState = async (state: string): Promise<void> => copyCluster(await stateOf('bare'), state)

export interface BarePostgresOptions {
  /** Of its state folder. Default `server`. */
  readonly name?: string
  readonly settings?: Readonly<Record<string, string>>
}

/** A server on a cluster that nobody has prepared, as one finds it elsewhere; its state is kept in this folder of the test's own. */
export const startBarePostgres = async (
  folder: string,
  { name = 'server', settings = {} }: BarePostgresOptions = {},
): Promise<EmbeddedPostgres> => {
  const state = join(folder, name)
  await openWay(folder)
  await copyBareState(state)
  return startEmbeddedPostgres({ state: await openState(state), disposable: true, restart: false, settings })
}

/** A project folder with a prepared cluster; remove it with `remove` when nothing runs in it any more. */
export const createPreparedProject: typeof createProjectFolder = async () => {
  const folder = await createProjectFolder()
  await copyCluster(await stateOf('project'), join(folder.dir, stateName))
  return folder
}

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { preparedVariable } from './prepared-project.js'

/** vitest's `globalSetup` of the end-to-end tests. */
export const setup = async (): Promise<() => Promise<void>> => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-prepared-'))
  // As root the embedded Postgres runs as another user, who has to find its way through the folder.
  await chmod(folder, 0o755)
  process.env[preparedVariable] = folder
  return () => rm(folder, { recursive: true, force: true })
}

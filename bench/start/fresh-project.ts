import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outsideDir } from '../../packages/tidemark/dist/postgres/embedded/place.js'

/** A project folder that nobody has used yet, as one is made by `git clone`: others may pass through it. */
export const inFreshProject = async <T>(fn: (folder: string) => Promise<T>): Promise<T> => {
  const outer = await mkdtemp(join(tmpdir(), 'tidemark-bench-start-'))
  const folder = join(outer, 'project')
  try {
    await chmod(outer, 0o755)
    await mkdir(folder)
    return await fn(folder)
  } finally {
    for (const path of [outer, outsideDir(join(folder, '.tidemark'))]) {
      await rm(path, { recursive: true, force: true, maxRetries: 5 })
    }
  }
}

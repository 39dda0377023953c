import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'

/** A folder of this test file, there during its tests and no longer; `name` tells whose it is. */
export const useFolder = (name: string): string => {
  const folder = join(tmpdir(), `tidemark-${name}-${randomBytes(6).toString('hex')}`)
  // Not at once: where every test of the file is left out, nothing would remove it.
  beforeAll(() => mkdirSync(folder, { mode: 0o700 }))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

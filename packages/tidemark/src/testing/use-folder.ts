import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** A folder of this test file, removed after its tests; `name` tells whose it is. */
export const useFolder = (name: string): string => {
  const folder = mkdtempSync(join(tmpdir(), `tidemark-${name}-`))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

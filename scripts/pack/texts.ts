// Before a package is packed: puts the licence and the changes of the checkout into the folder that it runs in, where npm looks for them.
// With --remove, afterwards, takes them away again.
import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../repository.ts'

for (const name of ['LICENSE', 'CHANGELOG.md'])
  if (process.argv.includes('--remove')) rmSync(name, { force: true })
  else copyFileSync(join(root, name), name)

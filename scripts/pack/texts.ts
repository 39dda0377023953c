// Before a package is packed: puts the licence and the changes of the checkout into the folder that it runs in, where npm looks for them.
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../repository.ts'

for (const name of ['LICENSE', 'CHANGELOG.md']) copyFileSync(join(root, name), name)

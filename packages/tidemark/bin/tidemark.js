#!/usr/bin/env node
// Plain JavaScript without a build step: it has to be able to say that Node is too old, or that the build is missing.
import { existsSync } from 'node:fs'

const main = new URL('../dist/cli/main.js', import.meta.url)
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

const refuse = (message, fix) => {
  process.stderr.write(`${message}\n  ${fix}\n`)
  process.exitCode = 1
}

if (major < 20 || (major === 20 && minor < 20)) {
  refuse(
    `Tidemark needs Node 20.20 or later; this is Node ${process.versions.node}.`,
    'Install a newer Node and run the command again.',
  )
} else if (!existsSync(main)) {
  refuse('Tidemark is not built.', 'Run `npm run build` in the folder where you installed it.')
} else {
  const { run } = await import(main.href)
  await run()
}

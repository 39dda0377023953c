// Builds the dashboard where its sources are not those of the last build.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { root } from './repository.ts'
import { run } from './run.ts'

const folder = join(root, 'packages/dashboard')
const stamp = join(folder, 'dist/.sources')

const filesOf = (path: string): readonly string[] => {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.test\.tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
}

/** Of all that a build is made of; the versions of the libraries stand in the manifest. */
const hashOfSources = (): string => {
  const sources = ['src', 'public', 'index.html', 'vite.config.ts', 'package.json'].map((name) => join(folder, name))
  const hash = createHash('sha256')
  for (const file of sources.flatMap(filesOf).sort()) hash.update(`${relative(folder, file)}\0`).update(readFileSync(file))
  return hash.digest('hex')
}

const sources = hashOfSources()
if (existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) {
  console.log('dashboard: built already')
} else {
  process.exitCode = await run(join(root, 'node_modules/.bin/vite'), ['build', folder, '--logLevel', 'warn'])
  if (process.exitCode === 0) writeFileSync(stamp, sources)
}

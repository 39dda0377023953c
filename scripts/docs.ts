// Writes docs/errors.md, docs/configuration.md, docs/requirements.md and docs/api/ from what they describe, and checks all pages: their links, the commands, options
// and paths that they name, their snippets of TypeScript, and that nothing is left out of those that have a line for each thing. With --check nothing is
// written, and a page that differs is a failure. Needs a build.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { adminRowProblems } from './docs/admin-rows.ts'
import { alertRowProblems } from './docs/alert-rows.ts'
import { readApi } from './docs/api.ts'
import { apiFile, apiPage } from './docs/api-page.ts'
import { commandProblems, missingCommands, sourceCommandProblems } from './docs/commands.ts'
import { configurationPage } from './docs/configuration-page.ts'
import { dependenciesOf, dependencyProblems, type Manifest } from './docs/dependency-lines.ts'
import { errorsPage } from './docs/errors-page.ts'
import { guaranteeProblems } from './docs/guarantees.ts'
import { brokenLinks, pagesOf, unreachedPages } from './docs/links.ts'
import { snippetProblems } from './docs/snippets.ts'
import { root } from './repository.ts'
import { groups, holders, requirementProblems } from './requirements/requirements.ts'
import { pageOf } from './requirements/requirements-page.ts'

const held = holders()

/** What the packages let others import. */
const entries = ['tidemark', 'client'].flatMap((folder) => {
  const manifest = JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8')) as {
    readonly name: string
    readonly exports: Readonly<Record<string, unknown>>
  }
  return Object.keys(manifest.exports).map((path) => `${manifest.name}${path.slice(1)}`)
})
const api = readApi(entries)

const generated: Readonly<Record<string, () => string>> = {
  'docs/errors.md': errorsPage,
  'docs/configuration.md': configurationPage,
  'docs/requirements.md': () => pageOf(groups, held),
  ...Object.fromEntries(api.map((entry) => [apiFile(entry.entry), () => apiPage(entry)])),
}

const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '')

const stalePages = (write: boolean): readonly string[] =>
  Object.entries(generated).flatMap(([name, page]) => {
    const path = join(root, name)
    const text = page()
    if (read(path) === text) return []
    if (!write) return [`${name} is not what it is made of. Run \`npm run docs\` and commit it.`]
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    console.log(`wrote ${name}`)
    return []
  })

const manifests = (): readonly Manifest[] =>
  ['packages', 'apps']
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(root, folder, name, 'package.json')))
    .concat(join(root, 'package.json'))
    .filter(existsSync)
    .map((path) => JSON.parse(read(path)) as Manifest)

const dependencyPageProblems = (): readonly string[] => {
  const all = manifests()
  const own = new Set(all.flatMap(({ name }) => name ?? []))
  const asked = all.flatMap((manifest) => dependenciesOf(manifest, own))
  return dependencyProblems(read(join(root, 'docs/dependencies.md')), asked)
}

/** The newcomer's command and that of the pipeline are one. */
const testCommand = 'npm ci && npm test'

const readmeProblems = (): readonly string[] =>
  read(join(root, 'README.md')).includes(testCommand) ? [] : [`README.md does not name the test command \`${testCommand}\`.`]

const dashboardSources = (): readonly string[] => {
  const folder = join(root, 'packages/dashboard/src')
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /(?<!\.test)\.tsx?$/.test(name))
    .map((name) => join(folder, name))
}

const invariants = groups.flatMap(({ entries }) => Object.keys(entries))

const problems = [
  ...stalePages(!process.argv.includes('--check')),
  ...brokenLinks(pagesOf(root), root),
  ...unreachedPages(pagesOf(root), join(root, 'README.md'), root),
  ...commandProblems(pagesOf(root), root),
  ...sourceCommandProblems(dashboardSources(), root),
  ...snippetProblems(pagesOf(root), api),
  ...missingCommands(read(join(root, 'docs/cli.md'))),
  ...adminRowProblems(read(join(root, 'docs/admin.md')), read(join(root, 'packages/tidemark/src/server/admin/admin-api.ts'))),
  ...alertRowProblems(read(join(root, 'docs/operations.md'))),
  ...guaranteeProblems(read(join(root, 'docs/guarantees.md')), invariants, held),
  ...dependencyPageProblems(),
  ...requirementProblems(groups, held),
  ...readmeProblems(),
]
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1
else console.log(`docs: ${pagesOf(root).length} pages are as they should be`)

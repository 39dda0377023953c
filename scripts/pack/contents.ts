import { readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { parseSync } from 'vite'

/** What a package.json says, as far as it says what is shipped. */
export interface PackedManifest {
  readonly name: string
  readonly bin?: Readonly<Record<string, string>>
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const required = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md']

const isUnwanted = (path: string): boolean =>
  /\.test\.[\w.]+$|\.tsbuildinfo$|(?:^|\/)(?:node_modules|coverage|\.\w[^/]*)(?:\/|$)/.test(path)

const targetsOf = (manifest: PackedManifest): readonly string[] => [
  ...Object.values(manifest.bin ?? {}),
  ...Object.values(manifest.exports ?? {}).flatMap((target) => (typeof target === 'string' ? [target] : Object.values(target))),
]

/** What a module imports, be it JavaScript or declarations. */
const importsOf = (path: string, source: string): readonly string[] => {
  const { module } = parseSync(path, source)
  const asked = [...module.staticImports, ...module.staticExports.flatMap(({ entries }) => entries)]
  const dynamic = [...source.matchAll(/\bimport\(['"]([^'"\n]+)['"]\)/g)].map((match) => match[1]!)
  return [...asked.flatMap(({ moduleRequest }) => moduleRequest?.value ?? []), ...dynamic]
}

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

interface Walk {
  readonly missing: readonly string[]
  /** Packages by the first file that imports them. */
  readonly packages: ReadonlyMap<string, string>
}

/** Follows imports from some files on, inside of what is shipped. */
const walk = (folder: string, files: ReadonlySet<string>, starts: readonly string[]): Walk => {
  const seen = new Set<string>()
  const missing: string[] = []
  const packages = new Map<string, string>()
  const queue = [...starts]
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    for (const specifier of importsOf(path, readFileSync(join(folder, path), 'utf8'))) {
      if (specifier.startsWith('node:')) continue
      if (!specifier.startsWith('.')) {
        const name = packageOf(specifier)
        if (!packages.has(name)) packages.set(name, path)
        continue
      }
      const file = posix.join(posix.dirname(path), specifier)
      const target = path.endsWith('.d.ts') ? file.replace(/\.js$/, '.d.ts') : file
      if (files.has(target)) queue.push(target)
      else missing.push(`${path} imports ${specifier}, which is not in it`)
    }
  }
  return { missing, packages }
}

const mapProblems = (folder: string, files: ReadonlySet<string>): readonly string[] =>
  [...files]
    .filter((path) => path.endsWith('.map'))
    .flatMap((path) => {
      const { sources } = JSON.parse(readFileSync(join(folder, path), 'utf8')) as { sources: readonly string[] }
      const gone = sources.filter((source) => !files.has(posix.join(posix.dirname(path), source)))
      return gone.map((source) => `${path} maps to ${source}, which is not in it`)
    })

/** Packages that have no types of their own have them in one beside, which has to be asked for as well. Peers are the application's, with their types. */
const typeProblems = (
  manifest: PackedManifest,
  { packages }: Walk,
  hasOwnTypes: (name: string) => boolean,
): readonly string[] => {
  const asked = manifest.dependencies ?? {}
  return [...packages].flatMap(([name, path]) => {
    if (name in (manifest.peerDependencies ?? {}) || (name in asked && hasOwnTypes(name))) return []
    return `@types/${name}` in asked ? [] : [`${path} shows types of ${name}, which nobody who installs it gets`]
  })
}

const importProblems = (manifest: PackedManifest, { packages }: Walk): readonly string[] => {
  const asked = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.peerDependencies }
  return [...packages]
    .filter(([name]) => name !== manifest.name && !(name in asked))
    .map(([name, path]) => `${path} imports ${name}, which it does not ask for`)
}

/**
 * What is wrong with what a package ships: `folder` holds it, `paths` are its files. `hasOwnTypes`: whether a package that it asks for brings
 * declarations of its own.
 */
export const contentProblems = (
  folder: string,
  paths: readonly string[],
  hasOwnTypes: (name: string) => boolean,
): readonly string[] => {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackedManifest
  const files = new Set(paths)
  const targets = targetsOf(manifest).map((target) => posix.normalize(target))
  const there = targets.filter((target) => files.has(target))
  const modules = walk(
    folder,
    files,
    paths.filter((path) => path.endsWith('.js') && path.startsWith('dist/') && !path.startsWith('dist/assets/')),
  )
  const declarations = walk(
    folder,
    files,
    there.filter((path) => path.endsWith('.d.ts')),
  )
  return [
    ...required.filter((path) => !files.has(path)).map((path) => `there is no ${path}`),
    ...targets.filter((path) => !files.has(path)).map((path) => `package.json names ${path}, which is not in it`),
    ...paths.filter(isUnwanted).map((path) => `${path} is of no use to anybody who installs it`),
    ...modules.missing,
    ...declarations.missing,
    ...mapProblems(folder, files),
    ...importProblems(manifest, modules),
    ...typeProblems(manifest, declarations, hasOwnTypes),
  ].map((problem) => `${manifest.name}: ${problem}`)
}

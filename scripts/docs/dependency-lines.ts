export interface Manifest {
  readonly name?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

/** The packages that a manifest asks for, our own workspaces left out. */
export const dependenciesOf = (manifest: Manifest, own: ReadonlySet<string>): readonly string[] =>
  [manifest.dependencies, manifest.devDependencies, manifest.peerDependencies]
    .flatMap((group) => Object.keys(group ?? {}))
    .filter((name) => !own.has(name))

/** The packages to which docs/dependencies.md gives a line: the first cell of each row of its tables. */
export const documentedDependencies = (page: string): readonly string[] =>
  [...page.matchAll(/^\|\s*((?:`[^`]+`(?:,\s*)?)+)\s*\|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!),
  )

/** One sentence for each dependency without a line, with several, and for each line without a dependency. */
export const dependencyProblems = (page: string, dependencies: readonly string[]): readonly string[] => {
  const lines = documentedDependencies(page)
  const asked = new Set(dependencies)
  return [
    ...[...asked].filter((name) => !lines.includes(name)).map((name) => `docs/dependencies.md has no line for ${name}.`),
    ...[...new Set(lines)]
      .filter((name) => !asked.has(name))
      .map((name) => `docs/dependencies.md has a line for ${name}, which nothing asks for.`),
    ...lines
      .filter((name, index) => lines.indexOf(name) !== index)
      .map((name) => `docs/dependencies.md has two lines for ${name}.`),
  ]
}

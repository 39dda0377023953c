import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../repository.ts'
import { type Holder, holdersOf } from './holders.ts'

export interface Requirement {
  /** What is asked, in one sentence. */
  readonly says: string
  /** Where the code is: files and folders, from the root of the checkout. */
  readonly code: readonly string[]
  /** What has to be known where no test holds it. */
  readonly note?: string
}

export interface Group {
  readonly title: string
  /** By number. */
  readonly entries: Readonly<Record<string, Requirement>>
}

export const groups = JSON.parse(readFileSync(join(root, 'scripts/requirements/requirements.json'), 'utf8')) as readonly Group[]

const notOurs: ReadonlySet<string> = new Set(['node_modules', 'dist'])

const filesUnder = (folder: string): readonly string[] =>
  readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !notOurs.has(name))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`
      return entry.isDirectory() ? filesUnder(path) : [path]
    })
    .sort()

/** Tests may stand anywhere; programs with a verdict of their own mark what they hold. */
const isScanned = (path: string): boolean =>
  /\.test\.tsx?$/.test(path) || (/^(?:bench|scripts\/chaos)\//.test(path) && path.endsWith('.ts'))

/** Who holds what in this checkout. */
export const holders = (): ReadonlyMap<string, readonly Holder[]> =>
  holdersOf(
    ['apps', 'bench', 'packages', 'scripts']
      .flatMap(filesUnder)
      .filter(isScanned)
      .map((path) => [path, readFileSync(join(root, path), 'utf8')] as const),
  )

/** Places that are named and not there, and numbers in the names of tests that nothing stands behind. */
export const requirementProblems = (
  asked: readonly Group[],
  held: ReadonlyMap<string, readonly Holder[]>,
  isThere: (path: string) => boolean = (path) => existsSync(join(root, path)),
): readonly string[] => {
  const entries = asked.flatMap((group) => Object.entries(group.entries))
  const known = new Set(entries.map(([id]) => id))
  return [
    ...entries.flatMap(([id, { code }]) =>
      code.filter((path) => !isThere(path)).map((path) => `requirements.json: ${id} names ${path}, which is not there.`),
    ),
    ...[...held].filter(([id]) => !known.has(id)).map(([id, [first]]) => `${first!.path}: ${id} is not among the requirements.`),
  ]
}

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { anchorsOf, linksOf } from './markdown.ts'

const isElsewhere = (target: string): boolean => /^[a-z][a-z0-9+.-]*:/i.test(target) || target.startsWith('//')

const problemOf = (page: string, target: string): string | undefined => {
  const [path, anchor] = target.split('#') as [string, string | undefined]
  const file = path === '' ? page : resolve(dirname(page), decodeURIComponent(path))
  if (!existsSync(file)) return 'leads nowhere'
  if (!anchor || !file.endsWith('.md')) return undefined
  return anchorsOf(readFileSync(file, 'utf8')).has(anchor) ? undefined : 'names a heading that is not there'
}

/** One sentence for each relative link of these pages that leads nowhere. */
export const brokenLinks = (pages: readonly string[], root: string): readonly string[] =>
  pages.flatMap((page) =>
    linksOf(readFileSync(page, 'utf8'))
      .filter((target) => !isElsewhere(target))
      .flatMap((target) => {
        const problem = problemOf(page, target)
        return problem === undefined ? [] : [`${relative(root, page)}: the link ${target} ${problem}.`]
      }),
  )

/** Pages to which nobody comes who begins at one and follows its links. */
export const unreachedPages = (pages: readonly string[], start: string, root: string): readonly string[] => {
  const reached = new Set<string>()
  const queue = [start]
  for (let page = queue.pop(); page !== undefined; page = queue.pop()) {
    if (reached.has(page) || !existsSync(page)) continue
    reached.add(page)
    for (const target of linksOf(readFileSync(page, 'utf8')))
      if (!isElsewhere(target) && /\.md(?:#|$)/.test(target)) queue.push(resolve(dirname(page), target.split('#')[0]!))
  }
  return pages
    .filter((page) => !reached.has(page))
    .map((page) => `${relative(root, page)}: no link of ${relative(root, start)}, nor of what that leads to, leads here.`)
}

const filesIn = (folder: string, recursive = false): readonly string[] =>
  existsSync(folder) ? readdirSync(folder, { recursive, encoding: 'utf8' }).map((name) => join(folder, name)) : []

/** The pages that are checked: those at the root, all under docs/, and those beside each workspace's package.json. */
export const pagesOf = (root: string): readonly string[] =>
  [
    ...filesIn(root),
    ...filesIn(join(root, 'docs'), true),
    ...['packages', 'apps', 'bench', 'samples'].flatMap((folder) => {
      const inside = filesIn(join(root, folder))
      return [...inside, ...inside.filter((path) => !/\.\w+$/.test(path)).flatMap((path) => filesIn(path))]
    }),
    // What packing puts beside a package.json is a copy.
  ].filter((path) => path.endsWith('.md') && !/packages\/[^/]+\/CHANGELOG\.md$/.test(path))

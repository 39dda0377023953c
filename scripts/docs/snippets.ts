import { spawnSync } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from '../repository.ts'
import { type ApiEntry, compilerOptions, inFolder } from './api.ts'

/** A fenced block of TypeScript of a page. One whose fence says `ts fragment` is a part of something, and is not compiled. */
interface Snippet {
  readonly page: string
  /** Of its first line of code, from 1. */
  readonly line: number
  readonly language: 'ts' | 'tsx'
  readonly code: string
}

const fences = /^```(tsx?)[ \t]*\n([\s\S]*?)^```/gm

const snippetsOf = (page: string): readonly Snippet[] => {
  const text = readFileSync(join(root, page), 'utf8')
  return [...text.matchAll(fences)].map((match) => ({
    page,
    line: text.slice(0, match.index).split('\n').length + 1,
    language: match[1] as 'ts' | 'tsx',
    code: match[2]!,
  }))
}

const imported = /^import (?:type )?\{([^}]*)\}|^import (\w+)/gm

const ownNames = (code: string): ReadonlySet<string> => {
  const declared = [...code.matchAll(/\b(?:const|let|function|class|interface|type)\s+(\w+)/g)].map((match) => match[1]!)
  const taken = [...code.matchAll(imported)].flatMap(([, names, one]) =>
    (names ?? one ?? '').split(',').map((name) => name.replace(/^\s*type\s+/, '').trim()),
  )
  return new Set([...declared, ...taken])
}

/** The entry that the page speaks of, where several have the name. */
const entryOf = (name: string, page: string, api: readonly ApiEntry[]): string | undefined => {
  const having = api.filter(({ names }) => names.some((each) => each.name === name)).map(({ entry }) => entry)
  return having.filter((entry) => page.includes(`${entry}'`) || page.includes(`\`${entry}\``)).at(-1) ?? having[0]
}

/**
 * What a page has imported once it does not import again in every block; so what our packages export counts as imported. On one line, in
 * front of the first: lines keep their numbers.
 */
const importsFor = ({ page, code }: Snippet, api: readonly ApiEntry[], readers: ReadonlySet<string>): string => {
  const own = new Set([...ownNames(code), ...readers])
  const text = readFileSync(join(root, page), 'utf8')
  const words = new Set(code.replaceAll(/(['"])(?:(?!\1).)*\1|\/\/.*$/gm, '').match(/(?<!\w|(?<!\.\.)\.)[A-Za-z]\w+/g))
  return [...words]
    .filter((word) => !own.has(word))
    .flatMap((word) => {
      const entry = entryOf(word, text, api)
      return entry === undefined ? [] : [`import { ${word} } from '${entry}'`]
    })
    .join('; ')
}

const example = (name: string): string => fileURLToPath(new URL(`example/${name}`, import.meta.url))

const readersNames = (): ReadonlySet<string> => ownNames(readFileSync(example('readers-program.d.ts'), 'utf8'))

const fileOf = ({ page, line, language }: Snippet): string => `${page.replaceAll(/[/.]/g, '_')}_${line}.${language}`

const error = /^(\S+?)\((\d+),\d+\): error TS\d+: (.*)$/

/** One sentence for each error of the compiler in a snippet, with the line of the page. */
export const snippetProblems = (pages: readonly string[], api: readonly ApiEntry[]): readonly string[] =>
  inFolder((folder) => {
    const snippets = pages.flatMap((path) => snippetsOf(relative(root, path)))
    const byFile = new Map(snippets.map((snippet) => [fileOf(snippet), snippet] as const))
    const readers = readersNames()
    for (const [file, snippet] of byFile) {
      const imports = importsFor(snippet, api, readers)
      writeFileSync(join(folder, file), `${imports}${imports === '' ? '' : '; '}${snippet.code}\nexport {}\n`)
    }
    for (const name of ['readers-program.d.ts', 'database.ts']) copyFileSync(example(name), join(folder, name))
    const config = { compilerOptions, include: ['*.ts', '*.tsx'] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const tsc = join(root, 'node_modules/.bin/tsc')
    const { stdout } = spawnSync(tsc, ['-p', '.', '--pretty', 'false'], { cwd: folder, encoding: 'utf8' })
    return stdout.split('\n').flatMap((text) => {
      const [, file = '', line, says] = error.exec(text) ?? []
      if (says === undefined) return []
      const snippet = byFile.get(file)
      return [snippet ? `${snippet.page}:${snippet.line + Number(line) - 1}: ${says}` : `${file}:${line}: ${says}`]
    })
  })

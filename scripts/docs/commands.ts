import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { createProgram } from '../../packages/tidemark/dist/cli/program.js'
import { configFlags } from '../../packages/tidemark/dist/config/config.js'

type Program = ReturnType<typeof createProgram>

/** One command as a page writes it, in words. */
interface Written {
  readonly words: readonly string[]
  readonly line: number
}

const shellBlocks = /^```(?:sh|bash)?[ \t]*\n([\s\S]*?)^```/gm
const inlineCode = /`([^`\n]+)`/g
/** Quoted text is one word, whatever is in it. */
const wordsOf = (text: string): readonly string[] => text.match(/'[^']*'|(?:[^\s"']|"[^"]*")+/g) ?? []

const lineAt = (page: string, offset: number): number => page.slice(0, offset).split('\n').length

/** A line of a shell is several commands; what follows a `#` is for people. */
const commandsOf = (text: string, line: number): readonly Written[] => {
  const commands: Written[] = []
  let words: string[] = []
  const end = (): void => {
    if (words.length > 0) commands.push({ words, line })
    words = []
  }
  for (const word of wordsOf(text)) {
    if (word.startsWith('#')) break
    const [, inside, separator] = /^(.*?)([;|&]*)$/s.exec(word) ?? [word, word, '']
    if (inside !== '' && inside !== undefined) words.push(inside.replace(/^\(|^\$\(/, ''))
    if (separator !== '') end()
  }
  end()
  return commands
}

const blocksOf = (page: string): readonly Written[] =>
  [...page.matchAll(shellBlocks)].flatMap((match) => {
    const first = lineAt(page, match.index) + 1
    return match[1]!.split('\n').flatMap((text, at) => commandsOf(text.replace(/^\$ /, ''), first + at))
  })

const spansOf = (page: string): readonly Written[] => {
  const prose = page.replace(/^(```|~~~)[\s\S]*?^\1[^\n]*$/gm, (block) => block.replace(/[^\n]/g, ' '))
  return [...prose.matchAll(inlineCode)].flatMap((match) => commandsOf(match[1]!, lineAt(page, match.index)))
}

/** What comes after the name, where the command is ours; `A=b` before it, `npx`, `sudo …` and the like are not. */
const argumentsOf = (words: readonly string[]): readonly string[] | undefined => {
  const at = words.findIndex((word) => !/^[A-Z_]\w*=/.test(word))
  const [first, second] = words.slice(at === -1 ? words.length : at)
  if (first === 'npx' && second === 'tidemark') return words.slice(at + 2)
  if (first === 'tidemark') return words.slice(at + 1)
  const program = words.findIndex((word) => word.endsWith('packages/tidemark/bin/tidemark.js'))
  return program === -1 ? undefined : words.slice(program + 1)
}

const isPlaceholder = (word: string): boolean => /[<>[\]…*|$]|^[A-Z]+$/.test(word)

const configOptions: ReadonlySet<string> = new Set(configFlags.flatMap(({ syntax }) => syntax.match(/--[\w-]+/g) ?? []))

/** Help and version are the parser's own. */
const always: ReadonlySet<string> = new Set(['--help', '--version', '-h', '-V'])

const optionsOf = (command: Program): ReadonlySet<string> => {
  const names = new Set(always)
  for (let at: Program | null = command; at; at = at.parent)
    for (const { short, long } of at.options) for (const name of [short, long]) if (name) names.add(name)
  return names
}

/** What of a command line there is not. */
const unknownParts = (program: Program, words: readonly string[]): readonly string[] => {
  const problems: string[] = []
  let command = program
  let isLeaf = false
  for (const word of words) {
    if (word === '--') break
    const plain = word.replace(/^\[|\]$/g, '')
    if (/^--?[a-z]/i.test(plain)) {
      const name = plain.split('=')[0]!
      if (!optionsOf(command).has(name) && !configOptions.has(name)) problems.push(`the option ${name} of ${nameOf(command)}`)
      continue
    }
    const next: Program | undefined = isLeaf ? undefined : command.commands.find((each) => each.name() === plain)
    if (next) command = next
    else if (command.registeredArguments.length === 0 && command.commands.length > 0 && !isPlaceholder(plain) && !isLeaf)
      problems.push(`the command ${nameOf(command)} ${plain}`)
    // A value of an option may look like anything.
    else isLeaf = true
  }
  return problems
}

const nameOf = (command: Program): string => (command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name())

const tools = { stdout: process.stdout, stderr: process.stderr } as unknown as Parameters<typeof createProgram>[0]

/** The program as it is, which runs nothing. */
const readProgram = (): Program => createProgram(tools, async () => {})

const scriptsBeside = (page: string, root: string): ReadonlySet<string> =>
  new Set(
    [root, dirname(page)].flatMap((folder) => {
      const path = join(folder, 'package.json')
      if (!existsSync(path)) return []
      return Object.keys((JSON.parse(readFileSync(path, 'utf8')) as { scripts?: Record<string, string> }).scripts ?? {})
    }),
  )

const npmProblem = (words: readonly string[], scripts: ReadonlySet<string>): string | undefined => {
  const at = words.indexOf('npm')
  if (at === -1 || words[at + 1] !== 'run') return undefined
  const name = words.slice(at + 2).find((word) => !word.startsWith('-'))
  return name === undefined || isPlaceholder(name) || scripts.has(name) ? undefined : `the script ${name} of npm`
}

const ownPath = /^(?:\.\.\/)*((?:packages|apps|bench|deploy|docs|samples|scripts)\/[\w./@-]+)$/

/** A path, or how paths begin: tests are named so. */
const isThere = (path: string, root: string): boolean => {
  const full = join(root, path)
  if (existsSync(full)) return true
  const folder = dirname(full)
  return existsSync(folder) && readdirSync(folder).some((name) => name.startsWith(basename(full)))
}

const pathProblems = (words: readonly string[], root: string): readonly string[] =>
  words
    .flatMap((word) => ownPath.exec(word)?.[1] ?? [])
    // What a build makes is not looked for. A folder that is named by a slash at its end may be an example of one.
    .filter((path) => !path.endsWith('/') && !path.includes('/dist/') && !isThere(path.replace(/[.:]+$/, ''), root))
    .map((path) => `the path ${path}`)

/** One sentence for each command, option, script of npm and path that a page names and that there is not. */
export const commandProblems = (pages: readonly string[], root: string): readonly string[] => {
  const program = readProgram()
  return pages.flatMap((path) => {
    const page = readFileSync(path, 'utf8')
    const scripts = scriptsBeside(path, root)
    return [...blocksOf(page), ...spansOf(page)].flatMap(({ words, line }) => {
      const given = argumentsOf(words)
      const unknown = [
        ...(given === undefined ? [] : unknownParts(program, given)),
        ...pathProblems(words, root),
        ...[npmProblem(words, scripts)].filter((problem) => problem !== undefined),
      ]
      return unknown.map((what) => `${relative(root, path)}:${line} names ${what}, which is not there.`)
    })
  })
}

/** What is put into a template is a word of its own; what is left open at the end is none of ours. */
const withoutHoles = (text: string): string => text.replace(/\$\{[^{}]*\}/g, ' X ').replace(/\$\{.*$/, '')

const quotedCommand = /(["'`])npx tidemark (.*?)\1/g

const startOfWorkspace = /npm start -w ([\w/-]+)/g
const builtProgram = /node ((?:apps|packages)\/[\w-]+)\/dist\/(\w+)\.js/g

/** Of `npm start -w apps/one` and `node apps/one/dist/main.js`: the script, and what the program is built of. */
const startProblems = (source: string, root: string): readonly (readonly [at: number, what: string])[] => [
  ...[...source.matchAll(startOfWorkspace)]
    .filter(([, folder = '']) => !scriptsBeside(join(root, folder, 'x'), join(root, folder)).has('start'))
    .map(({ index, 1: folder }) => [index, `the script start of ${folder}`] as const),
  ...[...source.matchAll(builtProgram)]
    .filter(([, folder = '', name]) => !existsSync(join(root, folder, `src/${name}.ts`)))
    .map(({ index, 1: folder, 2: name }) => [index, `the path ${folder}/src/${name}.ts`] as const),
]

/** The same for commands of ours that stand as text in a program's sources: the dashboard names them where there is nothing yet, and to be copied. */
export const sourceCommandProblems = (files: readonly string[], root: string): readonly string[] => {
  const program = readProgram()
  return files.flatMap((path) => {
    const source = readFileSync(path, 'utf8')
    const unknown = [...source.matchAll(quotedCommand)].flatMap((match) =>
      unknownParts(program, wordsOf(withoutHoles(match[2]!))).map((what) => [match.index, what] as const),
    )
    return [...unknown, ...startProblems(source, root)].map(
      ([at, what]) => `${relative(root, path)}:${lineAt(source, at)} names ${what}, which is not there.`,
    )
  })
}

const leavesOf = (command: Program): readonly Program[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf)

/** The page of commands names every one: its last word stands in a row that begins with the others. */
export const missingCommands = (page: string): readonly string[] => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `tidemark '))
  return leavesOf(readProgram())
    .filter(({ parent }) => parent !== null)
    .filter((command) => {
      const group = nameOf(command.parent!)
      const own = new RegExp(`\`(?:${nameOf(command)}|${command.name()})(?:[ \`])`)
      return !rows.some((row) => row.startsWith(`| \`${group} `) && own.test(row))
    })
    .map((command) => `docs/cli.md has no row for ${nameOf(command)}.`)
}

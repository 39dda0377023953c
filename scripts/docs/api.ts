import { existsSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { API, NodeBuilderFlags, type Project, SymbolFlags, TypeFlags } from 'typescript/unstable/sync'
import { root } from '../repository.ts'

/** What an entry of a package exports under one name. */
export interface ApiName {
  readonly name: string
  /** A value can be called or read; a type is gone at run time. */
  readonly kind: 'value' | 'type'
  /** Its type on one line, or the names of its members. */
  readonly form: string
  /** What its comment says, in full. */
  readonly comment: string
  /** Where its source is, from the root. */
  readonly source: string
}

export interface ApiEntry {
  readonly entry: string
  readonly names: readonly ApiName[]
}

type Checker = Project['checker']
type ExportedSymbol = ReturnType<Checker['getExportsOfModule']>[number]

const oneLine = NodeBuilderFlags.NoTruncation
const maxMembers = 24

/** Unions of text, functions and the like say most as they are written; of objects the names of their members do. */
const formOfType = (checker: Checker, symbol: ExportedSymbol): string => {
  const type = checker.getDeclaredTypeOfSymbol(symbol)
  const written = checker.typeToString(type, undefined, oneLine | NodeBuilderFlags.InTypeAlias)
  const isObject = (type.flags & TypeFlags.Object) !== 0
  const members = isObject ? checker.getPropertiesOfType(type) : []
  if (members.length === 0 || checker.isArrayLikeType(type)) return written
  const names = members.map(({ name, flags }) => `${name}${(flags & SymbolFlags.Optional) !== 0 ? '?' : ''}`)
  return `{ ${[...names.slice(0, maxMembers), ...(names.length > maxMembers ? ['…'] : [])].join(', ')} }`
}

const formOfValue = (checker: Checker, symbol: ExportedSymbol): string => {
  if ((symbol.flags & SymbolFlags.Class) !== 0) return `class ${formOfType(checker, symbol)}`
  const type = checker.getTypeOfSymbol(symbol)
  return type === undefined ? '' : checker.typeToString(type, undefined, oneLine)
}

/** Declarations are what is read; their sources are what a reader wants to see. */
const sourceOf = (symbol: ExportedSymbol): string => {
  const path = symbol.declarations[0]?.path ?? ''
  const source = relative(root, path)
    .replace('/dist/', '/src/')
    .replace(/\.d\.ts$/, '.ts')
  return existsSync(join(root, source)) ? source : `${source}x`
}

/** Fastify's own parameters are written out wherever its types are, and say nothing to who reads a signature. */
const withoutFastify = (form: string): string => {
  const at = /\bFastify\w+</.exec(form)
  if (at === null) return form
  const start = at.index + at[0].length
  let depth = 1
  let end = start
  for (; end < form.length && depth > 0; end++) {
    if (form[end] === '<') depth++
    else if (form[end] === '>' && form[end - 1] !== '=') depth--
  }
  return `${form.slice(0, start - 1)}${withoutFastify(form.slice(end))}`
}

const readName = (checker: Checker, exported: ExportedSymbol): ApiName => {
  const symbol = (exported.flags & SymbolFlags.Alias) !== 0 ? checker.getAliasedSymbol(exported) : exported
  const isValue = (symbol.flags & SymbolFlags.Value) !== 0
  return {
    name: exported.name,
    kind: isValue ? 'value' : 'type',
    form: withoutFastify(
      (isValue ? formOfValue(checker, symbol) : formOfType(checker, symbol)).replaceAll(/import\("[^"]*"\)\./g, ''),
    ),
    comment: checker.getDocumentationCommentOfSymbol(symbol),
    source: sourceOf(symbol),
  }
}

/** Options of the compiler for a folder outside of the checkout that sees the packages as whoever installed them. */
export const compilerOptions = {
  target: 'ES2023',
  lib: ['ES2023', 'DOM', 'DOM.Iterable'],
  module: 'ESNext',
  moduleResolution: 'bundler',
  types: ['node'],
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  jsx: 'react-jsx',
}

/** Calls `work` with a folder that finds the packages of the checkout, and takes it away again. */
export const inFolder = <T>(work: (folder: string) => T): T => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'tidemark-docs-')))
  try {
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    return work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What the entries of the packages export, by their declarations. Needs a build. */
export const readApi = (entries: readonly string[]): readonly ApiEntry[] =>
  inFolder((folder) => {
    writeFileSync(join(folder, 'entries.ts'), entries.map((entry, at) => `export * as entry${at} from '${entry}'\n`).join(''))
    const config = join(folder, 'tsconfig.json')
    writeFileSync(config, JSON.stringify({ compilerOptions, files: ['entries.ts'] }))
    const api = new API({ cwd: folder })
    try {
      const project = api.updateSnapshot({ openProjects: [config] }).getProjects()[0]!
      const { checker, program } = project
      const all = checker.getSymbolAtLocation(program.getSourceFile(join(folder, 'entries.ts'))!)!
      return checker.getExportsOfModule(all).map((module) => {
        const entry = entries[Number(module.name.replace('entry', ''))]!
        const names = checker.getExportsOfModule(checker.getAliasedSymbol(module)).map((each) => readName(checker, each))
        return { entry, names }
      })
    } finally {
      api.close()
    }
  })

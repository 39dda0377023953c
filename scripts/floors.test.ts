import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root } from './repository.ts'

/** From the top of the house to its ground. */
const floors: readonly (readonly string[])[] = [
  ['cli'],
  ['server'],
  ['app'],
  ['store'],
  ['move', 'webhooks', 'realtime', 'rest', 'cache', 'alerts'],
  ['auth'],
  ['feed'],
  ['schema'],
  ['postgres', 'redis', 'sqlite'],
  ['resilience'],
  ['observability'],
  ['state'],
  ['config'],
  ['time'],
]
const folders = floors.flat()
const floorOf = (folder: string): number => floors.findIndex((floor) => floor.includes(folder))
const isAllowed = (from: string, to: string): boolean => floorOf(to) > floorOf(from)

const pair = (from: string, to: string): string => `${from} imports ${to}`
const pairs = folders.flatMap((from) => folders.filter((to) => to !== from).map((to) => [from, to] as const))
const files = ['errors', 'secrets']

let house: string
/** What Biome refuses in a house where every folder imports every other. */
let refused: ReadonlySet<string>

const imports = (targets: readonly string[], prefix: string): string =>
  targets.map((to) => `export { value as ${to} } from '${prefix}${to}/${to}.js'\n`).join('')

interface Diagnostics {
  readonly diagnostics: readonly {
    readonly category: string
    readonly location: { readonly path: string | { readonly file: string }; readonly start?: { readonly line: number } }
  }[]
}

const lint = async (folder: string): Promise<Diagnostics> => {
  const args = ['lint', '--only=style/noRestrictedImports', '--reporter=json', '--max-diagnostics=none', '.']
  const biome = join(root, 'node_modules/.bin/biome')
  const { stdout } = await promisify(execFile)(biome, args, { cwd: folder, maxBuffer: 64 * 1024 ** 2 }).catch(
    (error: { stdout: string }) => error,
  )
  return JSON.parse(stdout.slice(stdout.indexOf('{'))) as Diagnostics
}

beforeAll(async () => {
  house = await realpath(await mkdtemp(join(tmpdir(), 'tidemark-floors-')))
  const config = JSON.parse(await readFile(join(root, 'biome.json'), 'utf8')) as Record<string, unknown>
  await writeFile(join(house, 'biome.json'), JSON.stringify({ ...config, vcs: { enabled: false } }))
  const source = join(house, 'packages/tidemark/src')
  for (const from of folders) {
    const others = folders.filter((to) => to !== from)
    await mkdir(join(source, from, 'inner'), { recursive: true })
    await writeFile(join(source, from, `${from}.ts`), imports(others, '../'))
    await writeFile(join(source, from, 'inner/deep.ts'), imports(others, '../../'))
  }
  for (const file of files) await writeFile(join(source, `${file}.ts`), imports(folders, './'))

  const { diagnostics } = await lint(house)
  const found = new Map<string, number>()
  for (const { category, location } of diagnostics) {
    if (category !== 'lint/style/noRestrictedImports') continue
    const path = typeof location.path === 'string' ? location.path : location.path.file
    const from = /src\/(\w+)(?:\/|\.ts)/.exec(path)?.[1] ?? path
    const others = folders.filter((to) => to !== from)
    const key = pair(from, others[location.start!.line - 1] ?? '?')
    found.set(key, (found.get(key) ?? 0) + 1)
  }
  // Each folder says it twice, in a file at its top and in one further inside; both must be refused.
  refused = new Set(
    [...found].filter(([key, times]) => times === (files.includes(key.split(' ')[0]!) ? 1 : 2)).map(([key]) => key),
  )
})

afterAll(async () => {
  await rm(house, { recursive: true, force: true })
})

describe('the floors of the house', () => {
  it('hold for every folder that exists', async () => {
    const entries = await readdir(join(root, 'packages/tidemark/src'), { withFileTypes: true })
    const unplaced = entries.filter((entry) => entry.isDirectory() && ![...folders, 'testing'].includes(entry.name))
    expect(unplaced.map(({ name }) => name)).toEqual([])
  })

  it('refuse each import that goes up or stays on its floor', () => {
    const forbidden = pairs.filter(([from, to]) => !isAllowed(from, to)).map(([from, to]) => pair(from, to))
    expect(forbidden.filter((key) => !refused.has(key))).toEqual([])
  })

  it('allow each import that goes down', () => {
    const allowed = pairs.filter(([from, to]) => isAllowed(from, to)).map(([from, to]) => pair(from, to))
    expect(allowed.filter((key) => refused.has(key))).toEqual([])
  })

  it('keep errors and secrets below every folder', () => {
    for (const file of files) for (const to of folders) expect(refused).toContain(pair(file, to))
  })
})

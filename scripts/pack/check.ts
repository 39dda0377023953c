/**
 * Packs what is published, looks into the packages, installs them into an empty folder and uses them there as a stranger would: `npm run pack:check`.
 * Asks npm's registry for their dependencies, as any installation does, and takes what its cache has first. Needs a build.
 */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { lastWordsOf, runCommand } from '../chaos/run-command.ts'
import { main, parseOptions } from '../options.ts'
import { root } from '../repository.ts'
import { contentProblems, type PackedManifest } from './contents.ts'
import { serverProblems } from './installed-server.ts'
import { importScript, typeSettings, typeUse } from './stranger.ts'

const usage = `npm run pack:check -- [options]
  --keep           leaves the folder where everything was installed
  --tarballs <dir> leaves the packages there`

const published = ['tidemark', '@tidemark/client', '@tidemark/dashboard']
/** What an application brings for the hooks, and what its types are checked with. */
const laterPackages = ['react', '@tanstack/react-query', '@types/react', '@types/node', 'typescript']

interface Packed {
  readonly name: string
  readonly filename: string
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

const said: string[] = []
const tell = (line: string): void => console.log(line)
const fail = (problems: readonly string[]): void => {
  for (const problem of problems) console.log(`  WRONG ${problem}`)
  said.push(...problems)
}

/** `npm run` hands the settings of the checkout on, which a stranger's folder does not have. Where npm finds packages stays. */
const ownSettings = (): void => {
  for (const name of Object.keys(process.env))
    if (/^npm_config_(?!registry$|cache$|userconfig$|globalconfig$|prefix$)/i.test(name)) delete process.env[name]
}

/** What a program printed; undefined, and a problem, where it failed. */
const call = async (folder: string, what: string, command: string, args: readonly string[]): Promise<string | undefined> => {
  const started = performance.now()
  const ended = await runCommand(folder, command, args, { NO_COLOR: '1', npm_config_loglevel: 'error' }).ended
  tell(`${ended.code === 0 ? 'ok   ' : 'FAILED'} ${what} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
  if (ended.code === 0) return ended.stdout
  fail([`${what}: ${lastWordsOf(ended)}`])
  return undefined
}

const manifestOf = (folder: string): PackedManifest & { readonly version: string } =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))

/** Packages that carry declarations of their own. */
const hasOwnTypes = (name: string): boolean => {
  const folder = join(root, 'node_modules', name)
  if (!existsSync(folder)) return false
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).some(
    (path) => /\.d\.[cm]?ts$/.test(path) && !path.includes('node_modules'),
  )
}

const pack = async (to: string): Promise<readonly Packed[]> => {
  const workspaces = published.flatMap((name) => ['--workspace', name])
  const output = await call(root, `npm pack ${published.join(' ')}`, 'npm', [
    'pack',
    '--json',
    '--pack-destination',
    to,
    ...workspaces,
  ])
  if (output === undefined) return []
  // What the packages' own scripts print comes first; newer versions of npm answer with an object by name.
  const answer = JSON.parse(output.slice(output.search(/^[[{]/m))) as readonly Packed[] | Readonly<Record<string, Packed>>
  return Object.values(answer)
}

const lookInside = async (work: string, tarballs: string, packed: readonly Packed[]): Promise<void> => {
  for (const { name, filename, files, size } of packed) {
    const folder = join(work, 'contents', basename(filename, '.tgz'))
    mkdirSync(folder, { recursive: true })
    await call(folder, `${name}: ${files.length} files, ${(size / 2 ** 20).toFixed(1)} MiB`, 'tar', [
      '-xzf',
      join(tarballs, filename),
      '--strip-components=1',
    ])
    const problems = contentProblems(
      folder,
      files.map(({ path }) => path),
      hasOwnTypes,
    )
    fail(problems)
  }
}

const install = (folder: string, what: string, packages: readonly string[]): Promise<string | undefined> =>
  call(folder, what, 'npm', ['install', '--prefer-offline', '--engine-strict', '--no-audit', '--no-fund', ...packages])

const entriesOf = (names: readonly string[]): readonly string[] =>
  names.flatMap((name) =>
    Object.keys(manifestOf(join(root, 'packages', name)).exports ?? {}).map((path) =>
      path.replace('.', manifestOf(join(root, 'packages', name)).name),
    ),
  )

const needsReact = (entry: string): boolean => entry.endsWith('/react')

/** Every entry in a process of its own: none may lean on what another has loaded. */
const importAll = async (folder: string, entries: readonly string[]): Promise<void> => {
  writeFileSync(join(folder, 'import.mjs'), importScript)
  for (const entry of entries) await call(folder, `import ${entry}`, process.execPath, ['import.mjs', entry])
}

/** What others ship is theirs to mend: an error counts where it is in what uses the packages, or in them. */
const isOurs = (line: string): boolean => /^(?:types\/|node_modules\/(?:tidemark|@tidemark)\/|error )/.test(line)

const checkTypes = async (folder: string, entries: readonly string[]): Promise<void> => {
  mkdirSync(join(folder, 'types'), { recursive: true })
  writeFileSync(join(folder, 'types/use.ts'), typeUse(entries))
  for (const [name, settings] of Object.entries(typeSettings)) {
    const config = `tsconfig.${name}.json`
    writeFileSync(join(folder, config), JSON.stringify({ compilerOptions: settings, files: ['types/use.ts'] }))
    const { stdout } = await runCommand(folder, 'node_modules/.bin/tsc', ['-p', config, '--pretty', 'false']).ended
    const wrong = stdout.split('\n').filter(isOurs)
    tell(`${wrong.length === 0 ? 'ok   ' : 'FAILED'} types by moduleResolution ${name}`)
    fail(wrong)
  }
}

const versionIn = (name: string): string => `${name}@${manifestOf(join(root, 'node_modules', name)).version}`

const checkInstalled = async (folder: string, tarballs: readonly string[], signal: AbortSignal): Promise<void> => {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'stranger', private: true, type: 'module' }))
  if ((await install(folder, 'npm install of the packages in an empty folder', tarballs)) === undefined) return
  const absent = ['react', '@neondatabase/serverless', '@upstash/redis'].filter((name) =>
    existsSync(join(folder, 'node_modules', name)),
  )
  fail(absent.map((name) => `${name} is installed though nobody asked for it`))
  signal.throwIfAborted()
  const entries = entriesOf(['tidemark', 'client'])
  await importAll(
    folder,
    entries.filter((entry) => !needsReact(entry)),
  )
  const help = await call(folder, 'npx tidemark --help', 'npx', ['--no-install', 'tidemark', '--help'])
  if (help !== undefined && !help.includes('move')) fail(['npx tidemark --help names no move'])
  fail(await serverProblems(folder, signal, tell))
  signal.throwIfAborted()
  if ((await install(folder, 'npm install of the optional peers', laterPackages.map(versionIn))) === undefined) return
  await importAll(folder, entries.filter(needsReact))
  await checkTypes(folder, entries)
}

await main(async (signal) => {
  ownSettings()
  const values = parseOptions(usage, { keep: { type: 'boolean' }, tarballs: { type: 'string' } })
  const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const work = mkdtempSync(join(memory, 'tidemark-pack-'))
  // As root the embedded Postgres runs as another user, who has to find its way through the folder.
  chmodSync(work, 0o755)
  const tarballs = typeof values['tarballs'] === 'string' ? values['tarballs'] : join(work, 'tarballs')
  const empty = join(work, 'empty')
  for (const folder of [tarballs, empty]) mkdirSync(folder, { recursive: true })
  try {
    const packed = await pack(tarballs)
    signal.throwIfAborted()
    await lookInside(work, tarballs, packed)
    if (packed.length === published.length) {
      await checkInstalled(
        empty,
        packed.map(({ filename }) => join(tarballs, filename)),
        signal,
      )
    }
  } finally {
    if (values['keep'] === true) tell(`kept: ${work}`)
    else rmSync(work, { recursive: true, force: true, maxRetries: 3 })
  }
  tell(said.length === 0 ? `PASSED: ${published.length} packages` : `FAILED: ${said.length} problems`)
  return said.length === 0
})

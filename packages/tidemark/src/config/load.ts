import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseEnv } from 'node:util'
import { reasonOf, TidemarkError } from '../errors.js'
import type { TidemarkConfig } from './options/options.js'
import { isPlainObject } from './options/tree.js'
import { type ResolveOptions, resolveConfig, type Variables } from './resolve.js'

export interface LoadedConfigFile {
  /** The name as errors show it, relative to the folder where it was searched. */
  readonly name: string
  readonly content: Readonly<Record<string, unknown>>
}

const configFileNames = [
  'tidemark.config.ts',
  'tidemark.config.mts',
  'tidemark.config.js',
  'tidemark.config.mjs',
  'tidemark.config.json',
]

const unreadable = (path: string, reason: string, cause?: unknown): TidemarkError =>
  new TidemarkError('TM_CONFIG_FILE_UNREADABLE', { path, reason }, { cause })

const errorCode = (error: unknown): string => String((error as NodeJS.ErrnoException | undefined)?.code ?? '')

/**
 * TypeScript goes through jiti, which is loaded only now: most projects have no such file, and every start would pay for it. `tidemark` is this
 * very library, so that the file gets it without evaluating it a second time, and where it is not installed beside it.
 */
const importTypeScript = async (path: string): Promise<unknown> => {
  const self = new URL(import.meta.url.endsWith('.ts') ? '../index.ts' : '../index.js', import.meta.url).href
  const [{ createJiti }, library] = await Promise.all([import('jiti'), import(self) as Promise<Record<string, unknown>>])
  const jiti = createJiti(pathToFileURL(path).href, { virtualModules: { tidemark: library }, interopDefault: false })
  return await jiti.import(path)
}

const evaluate = async (path: string): Promise<unknown> => {
  if (path.endsWith('.json')) return JSON.parse(await readFile(path, 'utf8')) as unknown
  const module = (/\.[cm]?ts$/.test(path) ? await importTypeScript(path) : await import(pathToFileURL(path).href)) as {
    readonly default?: unknown
  }
  if (module.default === undefined) throw new Error('it has no default export (export default defineConfig({ … }))')
  return module.default
}

const findConfigFile = async (cwd: string): Promise<string | undefined> => {
  const present = new Set(await readdir(cwd).catch(() => []))
  const found = configFileNames.filter((name) => present.has(name))
  if (found.length > 1) throw unreadable(found.join(' and '), 'only one of them can count; delete the others')
  return found[0]
}

/**
 * Reads `tidemark.config.ts|mts|js|mjs|json` in a folder, or the file at `path`. Undefined where the folder has none.
 * Raises TM_CONFIG_FILE_UNREADABLE.
 */
export const loadConfigFile = async (cwd: string = process.cwd(), path?: string): Promise<LoadedConfigFile | undefined> => {
  const name = path ?? (await findConfigFile(cwd))
  if (name === undefined) return undefined
  const content = await evaluate(resolve(cwd, name)).catch((error: unknown) => {
    throw unreadable(name, reasonOf(error), error)
  })
  if (!isPlainObject(content)) throw unreadable(name, 'it does not hold an object of options')
  return { name, content }
}

const readDotenv = async (cwd: string): Promise<Variables> => {
  try {
    return parseEnv(await readFile(join(cwd, '.env'), 'utf8'))
  } catch (error) {
    // Python projects often have a folder of that name.
    if (['ENOENT', 'EISDIR', 'ENOTDIR'].includes(errorCode(error))) return {}
    throw unreadable('.env', reasonOf(error), error)
  }
}

export interface LoadConfigOptions extends Pick<ResolveOptions, 'env' | 'flags' | 'cwd'> {
  /** Path of the configuration file (`--config`), relative to `cwd`. */
  readonly path?: string
}

/**
 * The configuration of a folder: its configuration file and its `.env`, under the environment and the flags.
 * Raises TM_CONFIG_FILE_UNREADABLE and what {@link resolveConfig} raises.
 */
export const loadConfig = async ({ cwd = process.cwd(), path, ...given }: LoadConfigOptions = {}): Promise<TidemarkConfig> => {
  const [file, dotenv] = await Promise.all([loadConfigFile(cwd, path), readDotenv(cwd)])
  return resolveConfig({ ...given, cwd, dotenv, ...(file && { file: file.content, fileName: file.name }) })
}

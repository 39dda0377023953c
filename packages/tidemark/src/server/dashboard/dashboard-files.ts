import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, extname, join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

/** One built file, as it is sent. */
export interface DashboardFile {
  readonly type: string
  readonly body: Buffer
  /** Of text; undefined where it would not be smaller. */
  readonly zipped: Buffer | undefined
  readonly etag: string
}

export interface DashboardFiles {
  /** Of the page's files, by their path: `assets/index-x.js`. Read and zipped when one is asked for first: a start waits for none of them. */
  readonly files: ReadonlyMap<string, () => Promise<DashboardFile>>
  readonly html: string
  /** The files that each screen needs besides, by its name. */
  readonly screens: Readonly<Record<string, readonly string[]>>
}

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.html': 'text/html; charset=utf-8',
  '.woff2': 'font/woff2',
}

const isPacked: ReadonlySet<string> = new Set(['.woff2', '.png'])

/** Where the built dashboard is: the package `@tidemark/dashboard`, which an installation may leave out. */
export const findDashboard = (): string | undefined => {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('@tidemark/dashboard/package.json')), 'dist')
  } catch {
    return undefined
  }
}

const fileOf = async (path: string): Promise<DashboardFile> => {
  const body = await readFile(path)
  const zipped = isPacked.has(extname(path)) ? undefined : await promisify(gzip)(body, { level: 9 })
  return {
    type: types[extname(path)] ?? 'application/octet-stream',
    body,
    zipped: zipped && zipped.length < body.length ? zipped : undefined,
    etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
  }
}

/** As it was read the first time; one that could not be read is tried again. */
const onceRead = (path: string): (() => Promise<DashboardFile>) => {
  let read: Promise<DashboardFile> | undefined
  return () => {
    read ??= fileOf(path).catch((error: unknown) => {
      read = undefined
      throw error
    })
    return read
  }
}

const apart: ReadonlySet<string> = new Set(['index.html', 'screens.json'])

/** Finds what there is. Undefined where it was not built. */
export const readDashboard = async (folder: string): Promise<DashboardFiles | undefined> => {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const paths = found
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
  if (![...apart].every((name) => paths.includes(name))) return undefined
  const [html, screens] = await Promise.all([...apart].map((name) => readFile(join(folder, name), 'utf8')))
  return {
    files: new Map(paths.filter((path) => !apart.has(path)).map((path) => [path, onceRead(join(folder, path))])),
    html: html!,
    screens: JSON.parse(screens!) as DashboardFiles['screens'],
  }
}

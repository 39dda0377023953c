import { mkdir, readFile, readlink, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'

interface LinkEntry {
  readonly source: string
  readonly target: string
}

const readLinks = async (nativeDir: string): Promise<LinkEntry[]> => {
  const text = await readFile(join(nativeDir, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  return JSON.parse(text) as LinkEntry[]
}

const linkTo = async (source: string, path: string): Promise<void> => {
  if ((await readlink(path).catch(() => undefined)) === source) return
  await rm(path, { force: true })
  await mkdir(dirname(path), { recursive: true })
  await symlink(source, path)
}

/**
 * npm packages carry no symbolic links, so the package lists those its libraries need, to be made by an install script.
 * They are made here instead, in a folder of our own: install scripts may be off and the package folder read-only.
 */
export const linkLibraries = async (nativeDir: string, libraryDir: string): Promise<void> => {
  await mkdir(libraryDir, { recursive: true })
  for (const { source, target } of await readLinks(nativeDir)) {
    // Entries name paths from the package's root, which is the parent of `native/`.
    const inLibrary = relative('native/lib', target)
    const path = inLibrary.startsWith('..') ? join(libraryDir, basename(target)) : join(libraryDir, inLibrary)
    await linkTo(join(nativeDir, relative('native', source)), path)
  }
}

/** What a process needs in its environment to find those libraries, and nothing else of ours. */
export const serverEnvironment = (nativeDir: string, libraryDir: string): NodeJS.ProcessEnv => {
  const libraries = `${libraryDir}:${join(nativeDir, 'lib')}`
  const variable = process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH'
  return {
    PATH: process.env['PATH'],
    TZ: 'UTC',
    LC_ALL: 'C',
    ...(process.platform === 'win32' ? { SystemRoot: process.env['SystemRoot'] } : { [variable]: libraries }),
  }
}

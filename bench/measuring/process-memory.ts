import { existsSync, readdirSync, readFileSync } from 'node:fs'

/** Resident memory of a process and all that it started. Shared pages count in each process that has them. */
export interface MemoryPeak {
  /** The largest single process at its highest, as the kernel remembers it. */
  readonly processBytes: number
  /** All of them at once, at the highest that was seen. */
  readonly treeBytes: number
}

export interface MemoryWatch {
  /** Undefined where the system has no /proc. */
  stop(): MemoryPeak | undefined
}

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // It has ended meanwhile.
    return ''
  }
}

const childrenOf = (pid: number): readonly number[] => {
  const folder = `/proc/${pid}/task`
  try {
    return readdirSync(folder).flatMap((thread) => read(`${folder}/${thread}/children`).split(' ').filter(Boolean).map(Number))
  } catch {
    return []
  }
}

const treeOf = (pid: number): readonly number[] => [pid, ...childrenOf(pid).flatMap(treeOf)]

const kilobytes = (status: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)

const everyMs = 25

/** Watches a process from its start to its end. */
export const watchMemory = (pid: number): MemoryWatch => {
  if (!existsSync('/proc/self/status')) return { stop: () => undefined }
  let [processBytes, treeBytes] = [0, 0]
  const look = (): void => {
    const states = treeOf(pid).map((one) => read(`/proc/${one}/status`))
    processBytes = Math.max(processBytes, ...states.map((status) => kilobytes(status, 'VmHWM') * 1024))
    treeBytes = Math.max(
      treeBytes,
      states.reduce((sum, status) => sum + kilobytes(status, 'VmRSS') * 1024, 0),
    )
  }
  look()
  const timer = setInterval(look, everyMs)
  return {
    stop: () => {
      clearInterval(timer)
      return { processBytes, treeBytes: Math.max(treeBytes, processBytes) }
    },
  }
}

/** Of one process alone, now. Undefined where the system has no /proc. */
export const residentBytes = (pid: number): number | undefined => {
  const status = read(`/proc/${pid}/status`)
  return status === '' ? undefined : kilobytes(status, 'VmRSS') * 1024
}

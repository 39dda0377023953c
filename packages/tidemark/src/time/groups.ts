/** Things that are written together. */
export interface Groups<T> {
  /** Resolves when the group that it is part of was written; rejects with what that raised. */
  add(item: T): Promise<void>
  /** Waits for all that is under way. */
  idle(): Promise<void>
}

export interface GroupsOptions<T> {
  /** Writes a group. */
  write(items: readonly T[]): Promise<void>
  /** Groups that are written at a time. They begin in their order; who needs them to end in it too gives 1. */
  readonly maxRunning: number
  readonly maxItems: number
  /** Default: any number. */
  readonly maxBytes?: number
  /** Needed where bytes are bounded. */
  bytesOf?(item: T): number
}

interface Waiting<T> {
  readonly item: T
  resolve(): void
  reject(error: unknown): void
}

const takeGroup = <T>(waiting: Waiting<T>[], options: GroupsOptions<T>): readonly Waiting<T>[] => {
  const { maxItems, maxBytes = Number.POSITIVE_INFINITY, bytesOf = () => 0 } = options
  let bytes = 0
  let count = 0
  while (count < waiting.length && count < maxItems && (count === 0 || bytes + bytesOf(waiting[count]!.item) <= maxBytes)) {
    bytes += bytesOf(waiting[count]!.item)
    count += 1
  }
  return waiting.splice(0, count)
}

/** Gathers what comes within a turn of the event loop, and, while as many groups are being written as may be, what comes meanwhile. */
export const createGroups = <T>(options: GroupsOptions<T>): Groups<T> => {
  const waiting: Waiting<T>[] = []
  const running = new Set<Promise<void>>()
  /** Of those, the ones that will look once more whether anything waits. */
  let looking = 0
  let gathering = false

  const writeGroup = async (group: readonly Waiting<T>[]): Promise<void> => {
    try {
      await options.write(group.map(({ item }) => item))
      for (const { resolve } of group) resolve()
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  const run = async (): Promise<void> => {
    // What came in the same turn of the event loop belongs to the same group.
    await new Promise((resolve) => setImmediate(resolve))
    gathering = false
    while (waiting.length > 0) await writeGroup(takeGroup(waiting, options))
    looking -= 1
  }

  const start = (): void => {
    gathering = true
    looking += 1
    const runner = run().finally(() => running.delete(runner))
    running.add(runner)
  }

  return {
    add: (item) =>
      new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject })
        if (!gathering && looking < options.maxRunning) start()
      }),
    idle: async () => {
      while (running.size > 0) await Promise.all(running)
    },
  }
}

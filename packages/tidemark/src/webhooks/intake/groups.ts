/** Things that are written together. */
export interface Groups<T> {
  /** Resolves when the group that it is part of was written; rejects with what that raised. */
  add(item: T): Promise<void>
  /** Waits for all that is under way. */
  idle(): Promise<void>
}

export interface GroupsOptions<T> {
  /** Writes a group. One is written at a time, so that what comes meanwhile makes the next one. */
  write(items: readonly T[]): Promise<void>
  readonly maxItems: number
  readonly maxBytes: number
  bytesOf(item: T): number
}

interface Waiting<T> {
  readonly item: T
  resolve(): void
  reject(error: unknown): void
}

const takeGroup = <T>(waiting: Waiting<T>[], { maxItems, maxBytes, bytesOf }: GroupsOptions<T>): readonly Waiting<T>[] => {
  let bytes = 0
  let count = 0
  while (count < waiting.length && count < maxItems && (count === 0 || bytes + bytesOf(waiting[count]!.item) <= maxBytes)) {
    bytes += bytesOf(waiting[count]!.item)
    count += 1
  }
  return waiting.splice(0, count)
}

/** Gathers what comes within a turn of the event loop, and while the last group is written. */
export const createGroups = <T>(options: GroupsOptions<T>): Groups<T> => {
  const waiting: Waiting<T>[] = []
  let running: Promise<void> | undefined

  const run = async (): Promise<void> => {
    // What came in the same turn of the event loop belongs to the same group.
    await new Promise((resolve) => setImmediate(resolve))
    while (waiting.length > 0) {
      const group = takeGroup(waiting, options)
      try {
        await options.write(group.map(({ item }) => item))
        for (const { resolve } of group) resolve()
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    running = undefined
  }

  return {
    add: (item) =>
      new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject })
        running ??= run()
      }),
    idle: async () => {
      while (running) await running
    },
  }
}

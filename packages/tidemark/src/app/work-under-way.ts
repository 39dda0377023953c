/** What a part has begun and not ended, so that it can wait for it when it stops. */
export interface WorkUnderWay {
  /** Gives the same work back. */
  track<T>(work: Promise<T>): Promise<T>
  /** Resolves when all of it has ended, however it ended, and what was begun meanwhile too. */
  ended(): Promise<void>
}

/** Nothing is under way at first. */
export const createWorkUnderWay = (): WorkUnderWay => {
  const running = new Set<Promise<unknown>>()
  return {
    track: (work) => {
      const ended: Promise<unknown> = work.then(
        () => running.delete(ended),
        () => running.delete(ended),
      )
      running.add(ended)
      return work
    },
    ended: async () => {
      while (running.size > 0) await Promise.all(running)
    },
  }
}

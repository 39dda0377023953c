/** Notes how a part is stopped that has just been opened. */
export type OnStop = (stop: () => unknown) => void

/**
 * Opens everything, or nothing: where `open` raises, what it had opened is stopped. `stop` ends the parts in the opposite order, each after the
 * one before it, and tells the first failure once all are ended.
 */
export const openParts = async <T extends object>(
  open: (onStop: OnStop) => Promise<T>,
): Promise<T & { stop(): Promise<void> }> => {
  const stops: (() => unknown)[] = []
  const stop = async (): Promise<void> => {
    const failures: unknown[] = []
    for (const each of stops.splice(0).reverse()) {
      try {
        await each()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
  let stopped: Promise<void> | undefined
  try {
    const parts = await open((each) => void stops.push(each))
    return {
      ...parts,
      stop: () => {
        stopped ??= stop()
        return stopped
      },
    }
  } catch (error) {
    await stop().catch(() => undefined)
    throw error
  }
}

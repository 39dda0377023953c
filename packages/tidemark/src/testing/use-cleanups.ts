import { afterEach } from 'vitest'

export interface Cleanups {
  push(cleanup: () => unknown): void
}

/** What a test opened is closed after it, the last first; before the hooks that stand above the call. */
export const useCleanups = (): Cleanups => {
  const cleanups: (() => unknown)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })
  return cleanups
}

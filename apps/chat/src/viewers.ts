/** Who looks at a chat just now, in Redis under the documented name: for them its page is kept warm. Without Redis nobody is known to look. */
import type { Redis } from 'tidemark'

/** Whoever has not asked for so long has gone. */
const viewingMs = 120_000

export interface Viewers {
  /** Never raises, and nobody waits for it. */
  seen(sessionId: string): void
  isViewed(sessionId: string): Promise<boolean>
}

export const createViewers = (redis: Redis, prefix: string): Viewers => {
  const keyOf = (sessionId: string): string => `${prefix}chat:viewers:${sessionId}`
  return {
    seen: (sessionId) => void redis.command(['SET', keyOf(sessionId), '1', 'PX', viewingMs]).catch(() => undefined),
    isViewed: async (sessionId) => (await redis.command(['EXISTS', keyOf(sessionId)]).catch(() => 0)) === 1,
  }
}

import type { Logger } from '../observability/observability.js'
import type { RealtimeParts } from '../realtime/protocols/supabase/supabase-realtime.js'
import { openTopics } from '../realtime/topics/open-topics.js'

/** What realtime is made of in this server, whatever protocol it is told in. */
export interface ServerRealtime {
  readonly parts: RealtimeParts
  stop(): Promise<void>
}

export interface ServerRealtimeOptions {
  readonly log: Logger
}

export const openServerRealtime = async ({ log }: ServerRealtimeOptions): Promise<ServerRealtime> => {
  const topics = await openTopics({ log })
  return { parts: { topics }, stop: () => topics.stop() }
}

import { isCloud } from '../../auth/open-callers.js'
import type { TidemarkConfig } from '../../config/config.js'

/** Whether this server answers `/realtime/v1`, where its roles say that it may. */
export const servesRealtime = (config: TidemarkConfig): boolean =>
  config.realtime.enabled && config.supabase.realtime && !isCloud(config)

/** Whether this server speaks with clients of Pusher, where its roles say that it may. */
export const servesPusher = ({ realtime }: TidemarkConfig): boolean => realtime.enabled && realtime.pusher.enabled

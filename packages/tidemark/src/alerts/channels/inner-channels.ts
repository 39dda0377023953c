/** Channels that end within the project: its log, its realtime, its Redis. */
import { TidemarkError } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import type { Redis } from '../../redis/redis.js'
import { alertJson, alertsChannel, type Channel, type NoticeItem } from '../alerts.js'
import { itemText, noticeJson } from './notice-json.js'

const isTrouble = ({ alert }: NoticeItem): boolean => alert !== undefined && alert.status !== 'resolved'

/** Lines of the log: where nothing else is set up, and beside everything else. */
export const createLogChannel = (name: string, log: Logger): Channel => ({
  name,
  send: async ({ items }) => {
    for (const item of items) {
      const { kind, alert } = item
      const fields = alert && {
        kind,
        alert: alert.id,
        alertType: alert.alertType,
        entityType: alert.entityType,
        entityId: alert.entityId,
        severity: alert.severity,
      }
      const grave = alert?.severity === 'critical' || alert?.severity === 'error'
      if (isTrouble(item) && grave) log.error(itemText(item), fields)
      else if (isTrouble(item)) log.warn(itemText(item), fields)
      else log.info(itemText(item), fields)
    }
    return {}
  },
})

/** Sends to everybody who listens to a topic. The server supplies it. */
export type Broadcast = (topic: string, event: string, payload: unknown) => Promise<void>

/** Clients that listen to a topic of realtime. */
export const createRealtimeChannel = (name: string, topic: string, broadcast: Broadcast): Channel => ({
  name,
  send: async (notice) => {
    await broadcast(topic, 'alerts', noticeJson(notice).data)
    return {}
  },
})

/** The documented JSON on `reanna:alerts`: a hint to look at `public.alerts`, which subscribers also do by themselves (R77, C13). */
export const createHintChannel = (name: string, redis: Pick<Redis, 'command' | 'state'>): Channel => ({
  name,
  send: async ({ items }, signal) => {
    for (const { alert } of items) {
      if (!alert) continue
      await redis.command(['PUBLISH', alertsChannel, alertJson(alert)], { signal }).catch((error: unknown) => {
        throw new TidemarkError('TM_ALERTS_UNDELIVERED', { channel: name, reason: 'Redis does not take it' }, { cause: error })
      })
    }
    return {}
  },
})

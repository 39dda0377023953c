/** Tells listing agents what was said of their property: by SMS, or read out on the phone. */
import type { HttpService } from 'tidemark/app'

export interface Notification {
  readonly feedback_id: string
  readonly agent_id: string | null
  readonly agent_name: string | null
  readonly address: string
  readonly text: string
}

export interface Notifier {
  send(notification: Notification, by: string | null, key: string, signal?: AbortSignal): Promise<void>
}

/** How people write that they want to be called. */
const spoken: readonly string[] = ['voice', 'phone', 'call']

/** `POST /messages` of the one or the other; where there is only one, of that. Undefined without either. */
export const createHttpNotifier = (sms: HttpService | undefined, voice: HttpService | undefined): Notifier | undefined => {
  const any = sms ?? voice
  if (!any) return undefined
  return {
    send: async (notification, by, key, signal) => {
      const isSpoken = by !== null && spoken.includes(by.toLowerCase())
      const service = (isSpoken ? voice : sms) ?? any
      const channel = service === voice ? 'voice' : 'sms'
      await service.call({ method: 'POST', path: '/messages', key, signal, body: { ...notification, channel } })
    },
  }
}

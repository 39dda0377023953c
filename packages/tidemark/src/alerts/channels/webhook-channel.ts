import type { Channel } from '../alerts.js'
import type { AddressRules } from './address-guard.js'
import { guardedPost, type Lookup } from './guarded-post.js'
import { noticeJson } from './notice-json.js'
import { signedHeaders } from './standard-signature.js'

export interface WebhookChannelOptions {
  readonly name: string
  readonly url: URL
  /** Each signs. */
  readonly secrets: readonly Buffer[]
  readonly rules: AddressRules
  readonly lookup?: Lookup
}

/** JSON, signed as Standard Webhooks has it. `webhook-id` stays the same over all attempts. */
export const createWebhookChannel = ({ name, url, secrets, rules, lookup }: WebhookChannelOptions): Channel => ({
  name,
  send: async (notice, signal) => {
    const body = JSON.stringify(noticeJson(notice))
    const signed = signedHeaders(secrets, {
      id: notice.idempotencyKey,
      timestampSeconds: Math.floor(notice.sentAtMs / 1000),
      body,
    })
    const headers = { ...signed, 'idempotency-key': notice.idempotencyKey }
    const response = await guardedPost({ channel: name, url, rules, body, headers, signal, ...(lookup && { lookup }) })
    const providerId = response.headers['x-request-id']
    return typeof providerId === 'string' ? { providerId: providerId.slice(0, 200) } : {}
  },
})

/** What answers hold, as `/openapi.json` tells it. */
import { z } from 'zod'

const count = z.int().min(0)

const switchedOff = z.strictObject({ state: z.literal('disabled') })
const relayState = z.enum(['running', 'off', 'stopped']).describe('off: the target is left alone for a while.')
const lag = z.number().nullable().describe("From the commit to the target's answer, of what was sent last.")

const secondaryStatus = z.strictObject({
  configured: z.literal(true),
  available: z.boolean(),
  backlog: count.describe('Rows that it has still to get.'),
  oldest_seconds: z.number().nullable(),
  last_error: z.string().nullable(),
})

/** What `/health` tells besides. */
export const health = z.strictObject({
  realtime: z.union([z.strictObject({ state: relayState, queued: count, dropped: count, lag_ms: lag }), switchedOff]),
  secondary: z.union([secondaryStatus, z.strictObject({ configured: z.literal(false) })]),
  active_alerts: count,
})

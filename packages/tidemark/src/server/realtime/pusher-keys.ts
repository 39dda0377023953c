import { createHmac, randomBytes } from 'node:crypto'
import type { TidemarkConfig } from '../../config/config.js'
import type { PusherApp } from '../../realtime/protocols/pusher/pusher.js'
import type { State } from '../../state/state.js'
import type { ProjectStatus } from '../operations/status.js'
import { servesPusher } from './serves-realtime.js'

/** What is public follows from the secret, so that one thing is kept, and who knows it needs no other. */
const derived = (secret: string, what: string): Buffer => createHmac('sha256', secret).update(`tidemark pusher ${what}`).digest()

/** The project's Pusher app: as it is configured, else drawn once. */
export const pusherAppOf = async ({ realtime: { pusher } }: TidemarkConfig, state: State): Promise<PusherApp> => {
  const secret = pusher.secret ?? (await state.secret('pusher-secret', () => randomBytes(16).toString('hex')))
  return {
    secret,
    id: pusher.appId ?? String(100_000 + (derived(secret, 'id').readUInt32BE(0) % 9_900_000)),
    key: pusher.key ?? derived(secret, 'key').toString('hex', 0, 10),
  }
}

export const pusherStatus = async (config: TidemarkConfig, state: State): Promise<ProjectStatus['pusher']> => {
  if (!servesPusher(config)) return null
  const { id, key, secret } = await pusherAppOf(config, state)
  return { appId: id, key, secret }
}

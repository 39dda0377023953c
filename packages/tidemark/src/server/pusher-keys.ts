import { randomBytes, randomInt } from 'node:crypto'
import type { TidemarkConfig } from '../config/config.js'
import type { PusherApp } from '../realtime/protocols/pusher/pusher.js'
import type { State } from '../state/state.js'
import type { ProjectStatus } from './operations/status.js'
import { servesPusher } from './serves-realtime.js'

const hex = (): string => randomBytes(10).toString('hex')

/** The project's Pusher app: as it is configured, else drawn once. */
export const pusherAppOf = async ({ realtime: { pusher } }: TidemarkConfig, state: State): Promise<PusherApp> => ({
  id: pusher.appId ?? (await state.secret('pusher-app-id', () => String(randomInt(100_000, 10_000_000)))),
  key: pusher.key ?? (await state.secret('pusher-key', hex)),
  secret: pusher.secret ?? (await state.secret('pusher-secret', hex)),
})

export const pusherStatus = async (config: TidemarkConfig, state: State): Promise<ProjectStatus['pusher']> => {
  if (!servesPusher(config)) return null
  const { id, key, secret } = await pusherAppOf(config, state)
  return { appId: id, key, secret }
}

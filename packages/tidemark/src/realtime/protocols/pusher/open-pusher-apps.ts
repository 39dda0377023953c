import { openPusher, type Pusher, type PusherOptions } from './open-pusher.js'
import type { PusherApp } from './pusher.js'

export interface PusherAppsOptions extends Omit<PusherOptions, 'app'> {
  /** At least one; the first is the one that is published to from within. */
  readonly apps: readonly PusherApp[]
}

const keyOf = (path: string): string | undefined => /^\/app\/([^/]+)/.exec(path)?.[1]
const idOf = (path: string): string | undefined => /^\/apps\/([^/]+)/.exec(path)?.[1]

/** Several apps on one server: clients are told apart by the key, requests by the id. */
export const openPusherApps = ({ apps, ...options }: PusherAppsOptions): Pusher => {
  const opened = apps.map((app) => ({ app, pusher: openPusher({ ...options, app }) }))
  const first = opened[0]!.pusher
  // Who names none of them is refused by the first.
  const byKey = (key: string | undefined): Pusher => opened.find(({ app }) => app.key === key)?.pusher ?? first
  const byId = (id: string | undefined): Pusher => opened.find(({ app }) => app.id === id)?.pusher ?? first
  return {
    publisher: first.publisher,
    accept: (request) => byKey(keyOf(request.path)).accept(request),
    handle: (request) => byId(idOf(request.path)).handle(request),
    stop: async () => {
      await Promise.all(opened.map(({ pusher }) => pusher.stop()))
    },
  }
}

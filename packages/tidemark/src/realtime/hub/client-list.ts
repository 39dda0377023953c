import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ClientView } from './hub.js'

export interface ClientQuery {
  readonly protocol?: string | undefined
  readonly user?: string | undefined
  /** One that it listens to, by its whole name. */
  readonly channel?: string | undefined
  /** Those that came after the connection of this id; it need not be there any more. */
  readonly after?: string | undefined
  readonly limit: number
}

/** One client, for operators. Times are ISO 8601 or milliseconds. */
export interface ClientEntry {
  /** Within this process. */
  readonly id: string
  readonly protocol: string
  readonly since: string
  readonly user: string | null
  readonly role: string | null
  /** The first {@link mostChannels} of them. */
  readonly channels: readonly string[]
  readonly channelCount: number
  /** Frames that it was told. */
  readonly told: number
  /** Of those, what its machine has not taken yet. */
  readonly waitingBytes: number
  /** How long it has not confirmed what it was asked to; null where nothing is asked. */
  readonly unconfirmedMs: number | null
  /** Since it was last heard of. */
  readonly silentMs: number
}

export interface ClientPage {
  readonly clients: readonly ClientEntry[]
  /** There are others behind the last one that fit. */
  readonly more: boolean
}

/** What is looked at of a socket. */
export interface ListedSocket {
  /** A number: later ones are greater. */
  readonly id: string
  readonly protocol: string
  readonly openedAtMs: number
  readonly heardMs: number
  readonly sent: number
  readonly bufferedBytes: number
  readonly isOpen: boolean
  readonly view: ClientView | undefined
  unconfirmedMs(nowMs: number): number | null
}

export const mostChannels = 20
const longestName = 200
/** Looked at in one turn of the event loop. */
const perTurn = 250

const short = (text: string | undefined): string | null => text?.slice(0, longestName) ?? null

const firstOf = (names: Iterable<string>): readonly string[] => {
  const first: string[] = []
  for (const name of names) {
    if (first.length === mostChannels) break
    first.push(name.slice(0, longestName))
  }
  return first
}

const hears = ({ channels }: ClientView, channel: string): boolean => {
  for (const name of channels.names()) if (name === channel) return true
  return false
}

const none: ClientView = { user: undefined, role: undefined, channels: { size: 0, names: () => [] } }

const fits = (view: ClientView, { user, channel }: ClientQuery): boolean =>
  (user === undefined || view.user === user) && (channel === undefined || hears(view, channel))

const entryOf = (socket: ListedSocket, { user, role, channels }: ClientView, nowMs: number): ClientEntry => ({
  id: socket.id,
  protocol: socket.protocol,
  since: new Date(socket.openedAtMs).toISOString(),
  user: short(user),
  role: short(role),
  channels: firstOf(channels.names()),
  channelCount: channels.size,
  told: socket.sent,
  waitingBytes: socket.bufferedBytes,
  unconfirmedMs: socket.unconfirmedMs(nowMs),
  silentMs: Math.max(0, Math.round(nowMs - socket.heardMs)),
})

/** Of sockets in the order of their numbers. Some may come and go meanwhile. */
export const listClients = async (
  sockets: Iterable<ListedSocket>,
  query: ClientQuery,
  nowMs: () => number,
): Promise<ClientPage> => {
  const after = Number(query.after ?? 0)
  const clients: ClientEntry[] = []
  let looked = 0
  for (const socket of sockets) {
    looked += 1
    if (looked % perTurn === 0) await nextTurn()
    if (Number(socket.id) <= after || !socket.isOpen) continue
    if (query.protocol !== undefined && socket.protocol !== query.protocol) continue
    const view = socket.view ?? none
    if (!fits(view, query)) continue
    if (clients.length === query.limit) return { clients, more: true }
    clients.push(entryOf(socket, view, nowMs()))
  }
  return { clients, more: false }
}

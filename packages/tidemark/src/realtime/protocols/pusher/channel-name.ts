import { maxChannelNameLength } from './pusher.js'

/** What the beginning of a channel's name says of it. */
export interface ChannelKind {
  readonly access: 'public' | 'private' | 'presence'
  /** Its messages are for its members alone: this server passes on what it cannot read. */
  readonly encrypted: boolean
  /** Who comes is told the last event. */
  readonly cache: boolean
}

const userPrefix = '#server-to-user-'

export const kindOf = (channel: string): ChannelKind => {
  const encrypted = channel.startsWith('private-encrypted-')
  const presence = channel.startsWith('presence-')
  const access = presence ? 'presence' : channel.startsWith('private-') ? 'private' : 'public'
  return { access, encrypted, cache: /^(?:(?:private-encrypted|private|presence)-)?cache-/.test(channel) }
}

export const isChannelName = (channel: unknown): channel is string =>
  typeof channel === 'string' && channel.length <= maxChannelNameLength && /^[A-Za-z0-9_\-=@,.;]+$/.test(channel)

/** Of the channel that reaches one user's connections. */
export const userChannel = (id: string): string => `${userPrefix}${id}`

/** Whose channel it is, where it is a user's. */
export const userOfChannel = (channel: string): string | undefined =>
  channel.startsWith(userPrefix) && channel.length > userPrefix.length && channel.length <= maxChannelNameLength
    ? channel.slice(userPrefix.length)
    : undefined

export const isSocketId = (id: unknown): id is string => typeof id === 'string' && id.length <= 64 && /^\d+\.\d+$/.test(id)

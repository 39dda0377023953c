import { boolean, bytes, durationMs, integer, tableNames } from './kinds.js'
import { option } from './option.js'

export const realtimeOptions = {
  'realtime.enabled': option(boolean, {
    help: 'Whether this server answers /realtime/v1 where no cloud project does. SUPABASE_ENABLE_REALTIME=false turns it off as well.',
    default: true,
  }),
  'realtime.maxConnections': option(integer(1, 1_000_000), {
    help: 'Most clients that one server keeps connected, over all protocols.',
    default: 20_000,
  }),
  'realtime.maxChannelsPerConnection': option(integer(1, 100_000), {
    help: 'Most channels that one client joins.',
    default: 100,
  }),
  'realtime.joinsPerSecond': option(integer(1, 100_000), {
    help: 'Joins of one client in a second; beyond, it is disconnected.',
    default: 100,
  }),
  'realtime.eventsPerSecond': option(integer(1, 1_000_000), {
    help: 'Messages that one client sends in a second, taken over ten; beyond, the channel is closed.',
    default: 100,
  }),
  'realtime.presenceCalls': option(integer(1, 100_000), {
    help: 'How often one channel of a client may track and untrack in half a minute; beyond, it is closed.',
    default: 5,
  }),
  'realtime.httpMessagesPerSecond': option(integer(1, 1_000_000), {
    help: 'Messages in a second that one server broadcasts for requests over HTTP.',
    default: 1_000,
  }),
  'realtime.privateOnly': option(boolean, {
    help: 'Whether only private channels, for which policies decide, are allowed.',
    default: false,
  }),
  'realtime.maxMessageBytes': option(bytes(1024, 64 * 1024 ** 2), {
    help: 'Most bytes of a message from a client; a larger one ends its connection.',
    default: 5_000_000,
  }),
  'realtime.maxPayloadBytes': option(bytes(256, 64 * 1024 ** 2), {
    help: 'Most bytes of what is broadcast at once, and of what is told of one who is present.',
    default: 3_000_000,
  }),
  'realtime.maxBufferedBytes': option(bytes(16_384, 1024 ** 3), {
    help: 'A client that leaves more than this unread is disconnected.',
    default: 4 * 1024 ** 2,
    defaultText: '4MiB',
  }),
  'realtime.idleTimeoutMs': option(durationMs(1000, 3_600_000), {
    help: 'A client that says nothing for so long is disconnected. Clients of Supabase send a heartbeat every 25 seconds.',
    default: 60_000,
  }),
  'realtime.tables': option(tableNames, {
    help: 'Tables whose changes are told besides those of the publication supabase_realtime, as schema.table.',
    default: [],
    defaultText: 'none',
  }),
  'realtime.replayWindowMs': option(durationMs(1000, 86_400_000), {
    help: 'Changes of this long stay in memory for clients that come back. After a restart those of feed.replayWindowMs are there.',
    default: 300_000,
  }),
  'realtime.maxReplayBytes': option(bytes(65_536, 16 * 1024 ** 3), {
    help: 'Roughly the most memory that these changes take.',
    default: 32 * 1024 ** 2,
    defaultText: '32MiB',
  }),
  'realtime.cursorKeptMs': option(durationMs(1000, 86_400_000), {
    help: 'Where a client was is remembered for so long after it was cut off, for clients that do not say so themselves.',
    default: 300_000,
  }),
} as const

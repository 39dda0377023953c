import { durationMs, oneOf, tableNames, text } from './kinds.js'
import { option } from './option.js'

export const feedOptions = {
  'feed.source': option(oneOf(['auto', 'wal', 'outbox', 'supabase']), {
    help: 'Where changes come from: the write-ahead log, triggers that fill an outbox, or Supabase Realtime (which loses some). auto takes the log where it may be read, else the outbox.',
    default: 'auto',
  }),
  'feed.tables': option(tableNames, {
    help: 'Tables that the feed carries besides those that something follows, as schema.table.',
    default: [],
    defaultText: 'none',
  }),
  'feed.slotName': option(
    text({
      pattern: /^[a-z0-9_]{1,40}$/,
      reason: 'it is not up to 40 lower case letters, digits and underscores',
      expected: 'up to 40 lower case letters, digits and underscores',
      argument: 'name',
    }),
    {
      help: 'Names the replication slot and the publication, which all servers of one feed share.',
      default: 'feed',
    },
  ),
  'feed.maxSilenceMs': option(durationMs(200, 60_000), {
    help: 'Without a sign of life for this long the server that reads is replaced, and without a proof of freshness no cache answers.',
    default: 1000,
  }),
  'feed.replayWindowMs': option(durationMs(1000, 3_600_000), {
    help: 'Changes of this long stay in Redis, and in Postgres, so that a loss of Redis costs none.',
    default: 60_000,
  }),
} as const

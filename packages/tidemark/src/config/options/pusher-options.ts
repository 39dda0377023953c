import { z } from 'zod'
import { boolean, bytes, durationMs, type Kind, text } from './kinds.js'
import { option } from './option.js'

const separated = (value: string): readonly string[] =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

const isHttp = (value: string): boolean => URL.canParse(value) && ['http:', 'https:'].includes(new URL(value).protocol)

const httpUrls: Kind<readonly string[]> = {
  schema: z.array(
    z.string({ error: 'an address in it is not text' }).refine(isHttp, { error: 'an address in it is not a URL' }),
    {
      error: 'it is not a list',
    },
  ),
  fromText: separated,
  expected: 'URLs separated by commas',
  argument: 'urls',
}

/** What Pusher's webhooks tell of. */
export const pusherWebhookEvents = [
  'channel_occupied',
  'channel_vacated',
  'member_added',
  'member_removed',
  'client_event',
  'cache_miss',
  'subscription_count',
] as const

export type PusherWebhookEvent = (typeof pusherWebhookEvents)[number]

const webhookEvents: Kind<readonly PusherWebhookEvent[]> = {
  schema: z.array(z.enum(pusherWebhookEvents, { error: `an event in it is none of ${pusherWebhookEvents.join(', ')}` }), {
    error: 'it is not a list',
  }),
  fromText: separated,
  expected: 'names of events separated by commas',
  argument: 'events',
}

/** Ids are numbers at Pusher; other servers take words. */
const word = /^[\w-]{1,64}$/

const app = z.object(
  {
    id: z
      .string({ error: 'the id of an app is not text' })
      .regex(word, { error: 'the id of an app is not of letters and digits' }),
    key: z
      .string({ error: 'the key of an app is not text' })
      .regex(word, { error: 'the key of an app is not of letters and digits' }),
    secret: z
      .string({ error: 'the secret of an app is not text' })
      .regex(/^[^\s:,]{8,}$/, { error: 'the secret of an app is too short' }),
  },
  { error: 'an app is not { id, key, secret }' },
)

type App = Readonly<z.output<typeof app>>

const apps: Kind<readonly App[]> = {
  schema: z.array(app, { error: 'it is not a list' }).superRefine((list, context) => {
    for (const name of ['id', 'key'] as const) {
      if (new Set(list.map((each) => each[name])).size < list.length) {
        context.addIssue({ code: 'custom', message: `two apps have the same ${name}` })
      }
    }
  }),
  fromText: (value) =>
    separated(value).map((part) => {
      const [id = '', key = '', secret = ''] = part.split(':')
      return { id, key, secret }
    }),
  expected: 'apps as id:key:secret, separated by commas',
  argument: 'apps',
}

const drawn = 'drawn once and kept in the state folder'
const follows = 'follows from the secret'

export const pusherOptions = {
  'realtime.pusher.enabled': option(boolean, {
    help: 'Whether this server speaks with clients of Pusher: /app/KEY and /apps/ID.',
    default: true,
  }),
  'realtime.pusher.appId': option(
    text({ pattern: word, reason: 'it is not of letters and digits', expected: 'a number', argument: 'id' }),
    { help: 'Id of the Pusher app. Servers that share a database need the same.', env: ['PUSHER_APP_ID'], defaultText: follows },
  ),
  'realtime.pusher.key': option(
    text({
      pattern: word,
      reason: 'it is not of letters and digits',
      expected: 'letters and digits',
      argument: 'key',
    }),
    {
      help: 'Key of the Pusher app: public, part of the address of its clients.',
      env: ['PUSHER_KEY', 'PUSHER_APP_KEY'],
      secret: true,
      defaultText: follows,
    },
  ),
  'realtime.pusher.secret': option(
    text({
      pattern: /^\S{8,}$/,
      reason: 'it is shorter than 8 characters or holds a space',
      expected: 'at least 8 characters without spaces',
    }),
    {
      help: 'Secret of the Pusher app: signs what servers send and who may join.',
      env: ['PUSHER_SECRET', 'PUSHER_APP_SECRET'],
      secret: true,
      defaultText: drawn,
    },
  ),
  'realtime.pusher.apps': option(apps, {
    help: 'More apps, whose clients and events are apart from each other.',
    secret: true,
    defaultText: 'none',
  }),
  'realtime.pusher.clientEvents': option(boolean, {
    help: 'Whether clients may send events to private and presence channels.',
    default: true,
  }),
  'realtime.pusher.subscriptionCounts': option(boolean, {
    help: 'Whether clients are told how many subscribe to their channels.',
    default: true,
  }),
  'realtime.pusher.maxEventBytes': option(bytes(256, 1024 ** 2), {
    help: 'Most bytes of the data of an event.',
    default: 10 * 1024,
    defaultText: '10KiB',
  }),
  'realtime.pusher.activityTimeoutMs': option(durationMs(1000, 3_600_000), {
    help: 'After so long without a word a client is asked for a sign of life.',
    default: 120_000,
  }),
  'realtime.pusher.webhookUrls': option(httpUrls, {
    help: 'Where it is told what happens in channels, signed with the secret.',
    // Addresses of webhooks often hold a token.
    secret: true,
    defaultText: 'none',
  }),
  'realtime.pusher.webhookEvents': option(webhookEvents, {
    help: 'What is told there.',
    default: pusherWebhookEvents,
    defaultText: 'all events',
  }),
} as const

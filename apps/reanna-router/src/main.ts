/** Starts the app: `node dist/main.js`. README.md says what each variable means. */
import { cachePlaces, databaseVariables, runApp, variables } from 'tidemark/app'
import { z } from 'zod'
import { openReanna } from './open-reanna.js'

const url = z.url({ protocol: /^https?$/ }).optional()
const key = z.string().min(1).optional()
const count = (fallback: number) => z.coerce.number().int().min(1).default(fallback)

const place = (at: string | undefined, secret: string | undefined) => (at === undefined ? undefined : { url: at, key: secret })

/** Google's own, where there is a key and no other address. */
const googleRoutes = 'https://routes.googleapis.com'

await runApp({
  port: 8080,
  variables: {
    ...databaseVariables,
    CALLERS_DATABASE_URL: z.string().optional(),
    JWT_SECRET: variables.secret(),
    REQUESTS_PER_HOUR: count(10_000),
    ROUTING_URL: url,
    GOOGLE_MAPS_API_KEY: key,
    CRM_URL: url,
    CRM_KEY: key,
    SMS_URL: url,
    SMS_KEY: key,
    VOICE_URL: url,
    VOICE_KEY: key,
    STATE_FOLDER: z.string().default('.reanna'),
    BREAKER_FAILURES: count(5),
    BREAKER_OPEN_MS: count(30_000),
    HANDLE_WEBHOOKS: variables.flag(true),
    WEBHOOK_PARTITIONS: count(1),
    WEBHOOK_ATTEMPTS: count(8),
    WEBHOOK_BACKOFF_MS: count(1_000),
    CALL_ATTEMPTS: count(8),
    CALL_BACKOFF_MS: count(1_000),
  },
  open: (settings, log) => {
    const { ROUTING_URL, GOOGLE_MAPS_API_KEY } = settings
    return openReanna({
      ...cachePlaces(settings),
      callers: settings.CALLERS_DATABASE_URL ?? settings.DATABASE_URL,
      jwtSecret: settings.JWT_SECRET,
      requestsPerHour: settings.REQUESTS_PER_HOUR,
      routing: place(ROUTING_URL ?? (GOOGLE_MAPS_API_KEY === undefined ? undefined : googleRoutes), GOOGLE_MAPS_API_KEY),
      crm: place(settings.CRM_URL, settings.CRM_KEY),
      sms: place(settings.SMS_URL, settings.SMS_KEY),
      voice: place(settings.VOICE_URL, settings.VOICE_KEY),
      folder: settings.STATE_FOLDER,
      breaker: { failureThreshold: settings.BREAKER_FAILURES, recoveryTimeoutMs: settings.BREAKER_OPEN_MS },
      webhooks: settings.HANDLE_WEBHOOKS
        ? {
            partitions: settings.WEBHOOK_PARTITIONS,
            settings: { maxAttempts: settings.WEBHOOK_ATTEMPTS, retryBaseMs: settings.WEBHOOK_BACKOFF_MS },
          }
        : undefined,
      callAttempts: settings.CALL_ATTEMPTS,
      callBaseMs: settings.CALL_BACKOFF_MS,
      log,
    })
  },
})

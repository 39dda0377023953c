/** Starts the app: `node dist/main.js`. README.md says what each variable means. */
import { cachePlaces, databaseVariables, runApp, variables } from 'tidemark/app'
import { z } from 'zod'
import { defaultMemory } from './caches.js'
import { openEngine } from './open-engine.js'

const count = (fallback: number) => z.coerce.number().int().min(1).default(fallback)

await runApp({
  port: 8070,
  variables: {
    ...databaseVariables,
    POOLED_DATABASE_URL: z.string().optional(),
    CALLERS_DATABASE_URL: z.string().optional(),
    JWT_SECRET: variables.secret(),
    SENDER_URL: z.url({ protocol: /^https?$/ }).optional(),
    SENDER_KEY: z.string().min(1).optional(),
    SEND_BACKOFF_MS: count(1_000),
    MEMORY_POLICY: z.enum(['lru', 'lfu']).default(defaultMemory.policy),
    MEMORY_ENTRIES: count(defaultMemory.maxEntries),
    MEMORY_TTL_SECONDS: count(defaultMemory.ttlMs / 1_000),
    MEMORY_BYTES: count(defaultMemory.maxBytes),
    REPORTS_EVERY_SECONDS: count(60),
    BREAKER_FAILURES: count(5),
    BREAKER_OPEN_MS: count(30_000),
    STATE_FOLDER: z.string().default('.re-engine'),
  },
  open: (settings, log) =>
    openEngine({
      ...cachePlaces(settings),
      analytics: settings.POOLED_DATABASE_URL,
      callers: settings.CALLERS_DATABASE_URL ?? settings.DATABASE_URL,
      jwtSecret: settings.JWT_SECRET,
      courier: settings.SENDER_URL === undefined ? undefined : { url: settings.SENDER_URL, key: settings.SENDER_KEY },
      folder: settings.STATE_FOLDER,
      breaker: { failureThreshold: settings.BREAKER_FAILURES, recoveryTimeoutMs: settings.BREAKER_OPEN_MS },
      memory: {
        policy: settings.MEMORY_POLICY,
        maxEntries: settings.MEMORY_ENTRIES,
        ttlMs: settings.MEMORY_TTL_SECONDS * 1_000,
        maxBytes: settings.MEMORY_BYTES,
      },
      sendBaseMs: settings.SEND_BACKOFF_MS,
      reportsEveryMs: settings.REPORTS_EVERY_SECONDS * 1_000,
      log,
    }),
})

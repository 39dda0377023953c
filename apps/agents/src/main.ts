/** Starts the app: `node dist/main.js`. README.md says what each variable means. */
import { cachePlaces, databaseVariables, runApp, variables } from 'tidemark/app'
import { z } from 'zod'
import { openAgents } from './open-agents.js'
import { secondaryUrlOf } from './second-database/secondary-url.js'

await runApp({
  port: 8009,
  variables: {
    ...databaseVariables,
    PUSHER_URL: z.string().optional(),
    SUPABASE_ENABLE_REALTIME: variables.flag(true),
    SUPABASE_JWT_SECRET: variables.secret(),
  },
  open: (settings, log) =>
    openAgents({
      ...cachePlaces(settings),
      secondary: secondaryUrlOf(process.env),
      pusher: settings.PUSHER_URL,
      realtime: settings.SUPABASE_ENABLE_REALTIME,
      jwtSecret: settings.SUPABASE_JWT_SECRET,
      log,
    }),
})

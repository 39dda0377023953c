/** Starts the app: `node dist/main.js`. README.md says what each variable means. */
import { databaseVariables, runApp, variables } from 'tidemark/app'
import { z } from 'zod'
import { limits } from './limits.js'
import { openChat } from './open-chat.js'

await runApp({
  port: 8091,
  variables: {
    ...databaseVariables,
    JWT_SECRET: variables.secret(),
    UNDO_HOURS: z.coerce
      .number()
      .min(0)
      .max(24 * 3650)
      .default(limits.undoMs / 3_600_000),
  },
  open: openChat,
})

#!/usr/bin/env node
/** Writes the chats of the acceptance test into a Redis, to try an import with: `npm run seed -w apps/chat -- redis://…`. */
import { createRedis } from 'tidemark'
import { seedChats } from './seed-chats.js'

const [url] = process.argv.slice(2)
if (url === undefined) {
  process.stderr.write('Usage: npm run seed -w apps/chat -- redis://…\n')
  process.exit(2)
}
const redis = await createRedis({ url })
try {
  const { chats, messages } = await seedChats(redis)
  process.stdout.write(`${chats} chats with ${messages} messages\n`)
} finally {
  await redis.stop()
}

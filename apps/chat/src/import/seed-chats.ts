/** The chats of the acceptance test, as an app that kept them in Redis left them. */
import type { Redis } from 'tidemark'

type Command = Parameters<Redis['pipeline']>[0][number]

export interface Seeded {
  readonly chats: number
  /** In the 39 that can be read. */
  readonly messages: number
  readonly users: readonly string[]
  readonly brokenKey: string
  readonly missingKey: string
}

const users = ['7b0f2f0e-3a67-4a4e-9a43-1f5a6c1d2e01', 'github_1042', 'anonymous'] as const
const firstMs = Date.UTC(2025, 2, 3, 9)
const stepMs = 3_600_000

const messageOf = (chat: number, index: number) => ({
  id: `m${chat}-${index}`,
  role: index % 2 === 0 ? 'user' : 'assistant',
  content:
    index % 2 === 0 ? `Question ${index / 2 + 1} of chat ${chat} 🌊` : `An answer.\n\n\`\`\`ts\nconst n = ${index}\n\`\`\``,
})

/** Of three users 40 chats: the times in milliseconds or ISO, one list of messages cut off, and one entry of a list without a chat. */
export const seedChats = async (redis: Redis): Promise<Seeded> => {
  const commands: Command[] = []
  let messages = 0
  for (let chat = 0; chat < 40; chat += 1) {
    const [id, userId, createdMs] = [`sEEd${String(chat).padStart(3, '0')}`, users[chat % 3]!, firstMs + chat * stepMs]
    const list = Array.from({ length: 2 + (chat % 4) * 2 }, (_none, index) => messageOf(chat, index))
    const json = JSON.stringify(list)
    const isBroken = chat === 17
    if (!isBroken) messages += list.length
    const fields = {
      id,
      title: list[0]!.content.slice(0, 100),
      userId,
      createdAt: chat % 5 === 0 ? new Date(createdMs).toISOString() : String(createdMs),
      path: `/chat/${id}`,
      messages: isBroken ? json.slice(0, -9) : chat === 8 ? JSON.stringify(json) : json,
    }
    commands.push(['HSET', `chat:${id}`, ...Object.entries(fields).flat()])
    commands.push(['ZADD', `user:v2:chat:${userId}`, createdMs, `chat:${id}`])
  }
  commands.push(['ZADD', `user:v2:chat:${users[0]}`, firstMs, 'chat:gone'])
  await redis.pipeline(commands)
  return { chats: 40, messages, users, brokenKey: 'chat:sEEd017', missingKey: 'chat:gone' }
}

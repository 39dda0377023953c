import type { Redis as Ioredis } from 'ioredis'

const live: readonly string[] = ['connecting', 'connect', 'ready']
/** Past the driver's own `disconnectTimeout`, so it only ends a wait for an event that never comes. */
const patienceMs = 1000

/** Ends a client of ioredis. One that waits to connect again has no socket, and so never tells that it ended. */
export const closeClient = async (client: Ioredis): Promise<void> => {
  const wasLive = live.includes(client.status)
  let timer: NodeJS.Timeout | undefined
  const ended = new Promise<void>((resolve) => {
    client.once('end', resolve)
    timer = setTimeout(resolve, patienceMs)
  })
  client.disconnect()
  if (wasLive) await ended
  clearTimeout(timer)
}

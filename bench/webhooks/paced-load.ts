import { setTimeout as sleep } from 'node:timers/promises'
import { Caller } from '../rest/callers.ts'

export interface PacedLoad {
  readonly port: number
  readonly perSecond: number
  readonly ms: number
  request(n: number): string
  readonly status: number
}

/** Connections, so that one that waits holds nobody up. */
const connections = 128

/**
 * So many requests a second, whether or not the one before was answered. Gives how long each took in milliseconds, sorted, from the moment at
 * which it was due: one that waits because others are slow counts as slow.
 */
export const runPaced = async ({ port, perSecond, ms, request, status }: PacedLoad): Promise<readonly number[]> => {
  const idle = await Promise.all(Array.from({ length: connections }, () => Caller.open(port)))
  const all = [...idle]
  const latencies: number[] = []
  const due: number[] = []
  const total = Math.floor((perSecond * ms) / 1000)
  let failure: unknown
  let sent = 0
  const ask = async (caller: Caller, dueAt: number): Promise<void> => {
    await caller.ask(request(sent++), status)
    latencies.push(performance.now() - dueAt)
    const next = due.shift()
    if (next === undefined) idle.push(caller)
    else await ask(caller, next)
  }
  const startedAt = performance.now()
  let scheduled = 0
  while (latencies.length < total && failure === undefined) {
    const now = performance.now()
    for (; scheduled < total; scheduled++) {
      const dueAt = startedAt + (scheduled * 1000) / perSecond
      if (dueAt > now) break
      const caller = idle.pop()
      if (!caller) due.push(dueAt)
      else
        void ask(caller, dueAt).catch((error: unknown) => {
          failure ??= error
        })
    }
    await sleep(1)
  }
  for (const caller of all) caller.close()
  if (failure !== undefined) throw failure
  return latencies.sort((a, b) => a - b)
}

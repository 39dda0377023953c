// What the parts of the realtime benchmark share: a Postgres, a server, `ws`, and who speaks with them.
import { createHmac } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openBenchPostgres } from '../measuring/bench-postgres.ts'
import { type RealtimeStage, type Side, userId } from './part.ts'
import { startCrowd, startServing } from './program.ts'
import type { ServingCalls } from './words.ts'

const secret = 'a secret of at least thirty-two characters'

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

const tokenOf = (claims: object): string => {
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ ...claims, exp: Math.floor(Date.now() / 1000) + 86_400 })}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

export const openRealtimeStage = async (): Promise<RealtimeStage & { stop(): Promise<void> }> => {
  const stops: (() => Promise<unknown>)[] = []
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each()
  }
  const start = async (given: ServingCalls['start']['given']): Promise<Side> => {
    const serving = startServing()
    stops.push(() => serving.end())
    const { port, anonKey } = await serving.ask('start', given)
    if (given.kind === 'tidemark') stops.push(() => serving.ask('stop', {}).catch(() => undefined))
    return { serving, port, anonKey, path: given.kind === 'ws' ? '/' : `/realtime/v1/websocket?vsn=2.0.0&apikey=${anonKey}` }
  }
  try {
    const postgres = await openBenchPostgres()
    stops.push(() => postgres.stop())
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-realtime-'))
    await chmod(folder, 0o755)
    stops.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
    return {
      postgres,
      tidemark: await start({ kind: 'tidemark', url: postgres.url, folder, secret }),
      ws: await start({ kind: 'ws' }),
      withCrowd: async (work) => {
        const crowd = startCrowd()
        try {
          return await work(crowd)
        } finally {
          await crowd.end()
        }
      },
      token: (user) => tokenOf({ role: 'authenticated', aud: 'authenticated', sub: userId(user) }),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

import type { FastifyInstance } from 'fastify'
import type { z } from 'zod'
import { isTidemarkError, reasonOf } from '../errors.js'
import { createLogger } from '../observability/log.js'
import type { Logger } from '../observability/observability.js'
import { readEnvironment, variables } from './environment.js'

export interface RunningApp {
  readonly server: FastifyInstance
  /** Begins what runs besides requests. */
  start?(): void
  stop(): Promise<void>
  /** Is told together with the address. */
  readonly about?: object
}

export interface RunAppOptions<S extends z.ZodRawShape> {
  /** Where it listens by default. */
  readonly port: number
  /** Besides PORT and HOST. */
  readonly variables: S
  readonly open: (settings: Settings<S>, log: Logger) => Promise<RunningApp>
}

const listening = (port: number) => ({ PORT: variables.port(port), HOST: variables.host() })

type Settings<S extends z.ZodRawShape> = z.infer<z.ZodObject<S>>

const begin = async <S extends z.ZodRawShape>({ port, variables: own, open }: RunAppOptions<S>): Promise<void> => {
  const settings = readEnvironment<z.ZodRawShape>({ ...own, ...listening(port) })
  const { PORT, HOST } = settings as Settings<ReturnType<typeof listening>>
  const app = await open(settings as Settings<S>, createLogger({ level: 'info' }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void app.stop())
  const url = await app.server.listen({ port: PORT, host: HOST })
  app.start?.()
  console.log(JSON.stringify({ url, ...app.about }))
}

/**
 * Runs an application: reads its settings, opens it, listens, and prints one line of JSON that begins with its `url`. A first SIGINT or SIGTERM
 * stops it, a second ends it at once. The log goes to standard error; so does why it does not start.
 */
export const runApp = async <const S extends z.ZodRawShape>(options: RunAppOptions<S>): Promise<void> => {
  try {
    await begin(options)
  } catch (error) {
    process.stderr.write(isTidemarkError(error) ? `${error.message} ${error.fix}\n` : `${reasonOf(error)}\n`)
    process.exit(isTidemarkError(error) ? error.exitCode : 1)
  }
}

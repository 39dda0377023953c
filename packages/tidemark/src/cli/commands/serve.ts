import { exitCodes } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import type { TidemarkServer } from '../../server/server.js'
import type { CommandContext } from '../context.js'
import type { Beside } from '../programs/run-beside.js'

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** Keeps the process alive: everything else that runs may be unreferenced. */
const holdOpen = (): (() => void) => {
  const timer = setInterval(() => undefined, 2 ** 30)
  return () => clearInterval(timer)
}

/**
 * Runs a server until SIGINT or SIGTERM, then drains it; a second signal ends the process at once.
 * `whenServing` is called once it serves; what it gives is stopped before the server is.
 */
export const serve = async (
  context: CommandContext,
  log: Logger,
  whenServing: (server: TidemarkServer) => Promise<Beside | undefined>,
): Promise<number> => {
  const { interrupt, io } = context
  interrupt.setLastWords({ state: 'the server was still starting; nothing is lost.', fix: 'Start it again when you like.' })
  const [config, { createServer }] = await Promise.all([context.config(), import('../../server/server.js')])
  const server = createServer({ config, log, cwd: io.cwd })
  let beside: Beside | undefined
  // What uses the server ends before it does.
  const stop = async (): Promise<void> => {
    await beside?.stop()
    await server.stop()
  }
  interrupt.signal.addEventListener('abort', () => void stop(), { once: true })
  const release = holdOpen()
  try {
    await server.start()
    beside = await whenServing(server)
    await aborted(interrupt.signal)
    return exitCodes.ok
  } finally {
    await stop()
    release()
  }
}

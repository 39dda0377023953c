import type { Shell } from './shell.js'

/** After being cancelled, a request has this long to give its last answer. */
const lastAnswersMs = 500

/**
 * Takes no new work and lets requests and jobs under way finish. What takes longer than `timeoutMs` is cancelled and answers
 * so; a client that does not read its answer is not waited for.
 */
export const drain = async ({ app, jobs, refuseNew }: Shell, timeoutMs: number): Promise<void> => {
  refuseNew()
  const closed = app.close()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs)
  })
  await Promise.race([late, Promise.all([closed, jobs.idle()])])
  clearTimeout(timer)
  await jobs.stop()
  const cut = setTimeout(() => app.server.closeAllConnections(), lastAnswersMs)
  await closed
  clearTimeout(cut)
}

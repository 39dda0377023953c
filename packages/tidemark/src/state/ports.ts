import { createServer } from 'node:net'
import { hasErrno } from './files.js'

const host = '127.0.0.1'

/** The port where listening worked (the asked one, or any where 0 is asked); undefined where it is taken. */
const tryPort = (port: number): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) => {
      if (hasErrno(error, 'EADDRINUSE', 'EACCES')) resolve(undefined)
      else reject(error)
    })
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address()
      const got = typeof address === 'object' && address ? address.port : undefined
      server.close(() => resolve(got))
    })
  })

const neighbours = 20
const highestPort = 65_535

/**
 * A loopback port that is free at this moment: the preferred one, else one of the next twenty, else any.
 * Another process may take it before it is used, so a caller tries again when listening fails.
 */
export const acquirePort = async (preferred = 0): Promise<number> => {
  if (preferred > 0) {
    const last = Math.min(preferred + neighbours, highestPort)
    for (let port = preferred; port <= last; port++) {
      if ((await tryPort(port)) !== undefined) return port
    }
  }
  const port = await tryPort(0)
  if (port === undefined) throw new Error('the operating system has no free port')
  return port
}

import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { reasonOf, TidemarkError } from '../../errors.js'
import type { Target } from './connection.js'

/** The length, and the number that stands where the protocol's version would be. */
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

/** Asks the server whether it speaks TLS, which is what `prefer` depends on. */
const offersTls = ({ host, port }: Pick<Target, 'host' | 'port'>, timeoutMs: number): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    const done = (settle: () => void) => {
      socket.destroy()
      settle()
    }
    socket.setTimeout(timeoutMs, () =>
      done(() => reject(Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' }))),
    )
    socket.once('error', (error) => done(() => reject(error)))
    socket.once('end', () => done(() => reject(Object.assign(new Error('the server hung up'), { code: 'ECONNRESET' }))))
    socket.once('connect', () => socket.write(sslRequest))
    socket.once('data', (answer) => done(() => resolve(answer[0] === 'S'.charCodeAt(0))))
  })

const readPem = async (target: Target, path: string): Promise<string> => {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new TidemarkError('TM_POSTGRES_TLS', { target: target.name, reason: reasonOf(error) }, { cause: error })
  }
}

/** What Node is to check for a mode; the answer to who is at the other end is not left to a driver's defaults. */
const verification = async (target: Target): Promise<ConnectionOptions> => {
  const { sslMode, rootCertificate } = target
  if (sslMode !== 'verify-ca' && sslMode !== 'verify-full') return { rejectUnauthorized: false }
  const authority =
    rootCertificate !== undefined && rootCertificate !== 'system' ? { ca: await readPem(target, rootCertificate) } : {}
  const anyName = sslMode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}
  return { rejectUnauthorized: true, ...authority, ...anyName }
}

/** The TLS options of a connection, or false for none. Asks the server where the mode is `prefer`. */
export const resolveTls = async (target: Target, timeoutMs: number): Promise<ConnectionOptions | false> => {
  const { sslMode, certificate, key } = target
  if (sslMode === 'disable') return false
  if (sslMode === 'prefer' && !target.directTls && !(await offersTls(target, timeoutMs))) return false
  return {
    ...(await verification(target)),
    ...(certificate === undefined ? {} : { cert: await readPem(target, certificate) }),
    ...(key === undefined ? {} : { key: await readPem(target, key) }),
  }
}

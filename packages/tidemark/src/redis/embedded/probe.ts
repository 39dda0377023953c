import { Command, Redis as Ioredis } from 'ioredis'
import type { ServerConf } from './conf.js'

export type ProbeAnswer =
  | { readonly kind: 'ours'; readonly pid: number; readonly version: string; readonly loading: boolean }
  /** Nothing listens there. */
  | { readonly kind: 'nobody' }
  /** Something listens that is not this project's server. */
  | { readonly kind: 'foreign' }
  /** Something listens and says nothing: a frozen server, or a program that waits for another protocol. */
  | { readonly kind: 'silent' }

const patienceMs = 1000

const fieldOf = (info: string, name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? ''

const reasonFor = (error: unknown): 'nobody' | 'silent' | 'foreign' => {
  const { code, message } = error as { code?: string; message?: string }
  if (code === 'ECONNREFUSED') return 'nobody'
  return code === 'ETIMEDOUT' || /timed out/i.test(message ?? '') ? 'silent' : 'foreign'
}

/** Asks what listens on the loopback port whether it is the server that was started with this configuration file. */
export const probe = async ({ port, password }: ServerConf, confPath: string): Promise<ProbeAnswer> => {
  const client = new Ioredis({
    host: '127.0.0.1',
    port,
    protocol: 2,
    lazyConnect: true,
    connectTimeout: patienceMs,
    commandTimeout: patienceMs,
    disconnectTimeout: 100,
    disableClientInfo: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    retryStrategy: () => null,
  })
  let failure: unknown
  client.on('error', (error) => {
    failure = error
  })
  const send = (name: string, ...args: string[]) => client.sendCommand(new Command(name, args, { replyEncoding: 'utf8' }))
  try {
    await client.connect()
    // Logging in by hand: the driver prints a warning about a server that wants no password.
    await send('AUTH', password)
    const info = String(await send('INFO'))
    if (fieldOf(info, 'config_file') !== confPath) return { kind: 'foreign' }
    const version = fieldOf(info, 'valkey_version') || fieldOf(info, 'redis_version')
    return { kind: 'ours', pid: Number(fieldOf(info, 'process_id')), version, loading: fieldOf(info, 'loading') === '1' }
  } catch (error) {
    return { kind: reasonFor(failure ?? error) }
  } finally {
    client.disconnect()
  }
}

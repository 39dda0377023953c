import { type ConnectOptions, connectPostgres } from '../../postgres/driver/connect.js'
import { type Asker, databaseOid, readSlot, slotName, takeOverSlot } from '../slots.js'
import type { WalSourceOptions } from '../sources/wal/wal-options.js'
import { createWalSource } from '../sources/wal/wal-source.js'
import type { FeedSources, Lease, LeaseHolder } from './fan-out.js'
import { scopeOf } from './scope.js'

export interface WalSourcesOptions
  extends Pick<WalSourceOptions, 'target' | 'publication' | 'tables' | 'alongside' | 'log' | 'clock'> {
  readonly adminTarget: ConnectOptions
  /** Of the slot that all nodes share. */
  readonly slotName: string
  readonly maxSilenceMs: number
}

/** A waiter asks again by itself; it need not wait within one attempt. */
const busyTimeoutMs = 150

const withClient = async <T>(target: ConnectOptions, fn: (client: Asker) => Promise<T>): Promise<T> => {
  const client = await connectPostgres({ ...target, name: 'feed lease' })
  try {
    return await fn(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

const slotLease = ({ target, slotName: name }: WalSourcesOptions): Lease => ({
  holder: () =>
    withClient(target, async (client): Promise<LeaseHolder> => {
      const slot = await readSlot(client, slotName(await databaseOid(client), name))
      if (!slot) return { state: 'absent' }
      return slot.activePid === null ? { state: 'free' } : { state: 'held', pid: slot.activePid }
    }),
  takeOver: (pid) =>
    withClient(target, async (client) => {
      const full = slotName(await databaseOid(client), name)
      // Whoever took it since is alive.
      if ((await readSlot(client, full))?.activePid === pid) await takeOverSlot(client, full)
    }),
})

/** Nodes that share one replication slot, which is the lease (FEED-2). */
export const walSources = (options: WalSourcesOptions): FeedSources => {
  const { target, adminTarget, publication, tables, alongside, maxSilenceMs, slotName: name, ...rest } = options
  const shared = {
    ...(rest.log && { log: rest.log }),
    ...(rest.clock && { clock: rest.clock }),
    target,
    adminTarget,
    publication,
    tables,
    alongside,
    // Proofs come often enough for each beat to bring a new one.
    beatMs: Math.max(20, Math.round(maxSilenceMs / 8)),
    busyTimeoutMs,
  }
  return {
    reader: () =>
      createWalSource({
        ...shared,
        slot: { name },
        walSenderTimeoutMs: Math.max(1000, 2 * maxSilenceMs),
        // The fan-out has a window of its own; this one only keeps what Postgres lets go behind what the last beat spoke of.
        replayWindowMs: maxSilenceMs,
      }),
    temporary: () => createWalSource({ ...shared, slot: { name, temporary: true }, start: 'now', replayWindowMs: 0 }),
    lease: slotLease(options),
    scope: () => withClient(target, (client) => scopeOf(client, `wal-${name}`)),
  }
}

import { createHash } from 'node:crypto'
import { isTidemarkError } from '../../errors.js'
import type { CommandOptions, PipelineResult, Redis, RedisReply } from '../redis.js'
import { unreachable } from '../redis-error.js'
import { slotCount } from './slots.js'

/** Which master has which slot. Addresses are `host:port`. */
export interface ClusterMap {
  readonly slots: readonly string[]
  /** Of all masters that have slots, sorted. */
  readonly addresses: readonly string[]
}

const listOf = (reply: RedisReply | undefined): readonly RedisReply[] => (Array.isArray(reply) ? reply : [])

export const addressOf = (host: string, port: number | string): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

/** A node that does not know by which name it is reached says nothing, or `?`: then it is where it was asked. */
const hostOf = (host: RedisReply | undefined, askedHost: string): string => {
  const text = host === null || host === undefined ? '' : String(host)
  return text === '' || text === '?' ? askedHost : text
}

const askForSlots = async (node: Redis, options: CommandOptions): Promise<readonly RedisReply[]> => {
  try {
    return listOf(await node.command(['CLUSTER', 'SLOTS'], options))
  } catch (error) {
    if (!isTidemarkError(error, 'TM_REDIS_COMMAND')) throw error
    throw unreachable(node.target, `several addresses are given, and it is no cluster (${error.parameters.reason})`)
  }
}

/** Raises TM_REDIS_UNREACHABLE where a slot has no master, and for a server that is none of a cluster. */
export const readClusterMap = async (node: Redis, askedHost: string, options: CommandOptions = {}): Promise<ClusterMap> => {
  const slots: string[] = new Array<string>(slotCount).fill('')
  for (const range of await askForSlots(node, options)) {
    const [from, to, master] = listOf(range)
    const [host, port] = listOf(master)
    const address = addressOf(hostOf(host, askedHost), String(port))
    for (let slot = Number(from); slot <= Number(to); slot++) slots[slot] = address
  }
  const lacking = slots.indexOf('')
  if (lacking >= 0) throw unreachable(node.target, `slot ${lacking} of the cluster has no master`)
  return { slots, addresses: [...new Set(slots)].sort() }
}

const infoField = (result: PipelineResult | undefined, name: string): string | undefined =>
  result?.ok ? new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(String(result.value))?.[1] : undefined

/**
 * What tells one life of a master from another: the id of its run changes with a restart, that of its replication when it is promoted. Empty
 * where it may not be asked. Raises TM_REDIS_UNREACHABLE for a replica, and where the cluster is not whole as it sees it.
 */
export const readLife = async (node: Redis, options: CommandOptions = {}): Promise<string> => {
  const [server, replication, cluster] = await node.pipeline(
    [
      ['INFO', 'server'],
      ['INFO', 'replication'],
      ['CLUSTER', 'INFO'],
    ],
    options,
  )
  const [role, state] = [infoField(replication, 'role'), infoField(cluster, 'cluster_state')]
  if (role !== undefined && role !== 'master') throw unreachable(node.target, 'it is no master any more')
  if (state !== undefined && state !== 'ok') throw unreachable(node.target, 'CLUSTERDOWN to it the cluster is not whole')
  return `${infoField(server, 'run_id') ?? ''} ${infoField(replication, 'master_replid') ?? ''}`
}

/** One name for these masters in these lives. */
export const nameMasters = (addresses: readonly string[], lives: readonly string[]): string =>
  createHash('sha1')
    .update(addresses.map((address, at) => `${address} ${lives[at]}`).join('\n'))
    .digest('hex')

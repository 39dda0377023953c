/** A Redis Cluster of three masters, up when a test gets it: made by hand, as redis-cli takes seconds to. */
import { resolveConnectionOptions } from '../../redis/connection-options.js'
import { createIoredisTcp } from '../../redis/ioredis-tcp.js'
import type { RedisCommand, RedisReply } from '../../redis/redis.js'
import { parseTcpTarget } from '../../redis/redis-target.js'
import { until } from '../../time/until.js'
import { startTestRedis, type TestRedis } from './redis-server.js'

export interface TestCluster {
  /** Of all masters, separated by commas. */
  readonly url: string
  readonly masters: readonly TestRedis[]
  /** Asks one node, whatever the others say. */
  ask(node: TestRedis, command: RedisCommand): Promise<RedisReply>
  /** Adds a replica of a master, and gives it once it has all that the master has. */
  addReplica(of: TestRedis): Promise<TestRedis>
  /** From now on a replica hears nothing of its master. */
  deafen(master: TestRedis, replica: TestRedis): Promise<void>
  /** Kills a master, and returns once its replica, which may be deaf, is one in its place. */
  loseMaster(master: TestRedis, replica: TestRedis): Promise<void>
  stop(): Promise<void>
}

const slots = 16_384
const timing = ['--cluster-node-timeout', '1000', '--cluster-replica-validity-factor', '0', '--repl-diskless-sync-delay', '0']
const args = ['--cluster-enabled', 'yes', ...timing]

/** The nodes talk to each other at a port that is 10,000 higher. */
const startNode = async (): Promise<TestRedis> => {
  for (let tries = 0; ; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 20_000)
    try {
      return await startTestRedis({ port, args })
    } catch (error) {
      if (tries === 5) throw error
    }
  }
}

/** Starts the servers and makes them one. */
export const startTestCluster = async (): Promise<TestCluster> => {
  const masters = await Promise.all([startNode(), startNode(), startNode()])
  const nodes = [...masters]
  const ask = async (node: TestRedis, command: RedisCommand): Promise<RedisReply> => {
    const redis = await createIoredisTcp(parseTcpTarget(node.url), resolveConnectionOptions({}))
    return redis.command(command).finally(() => redis.stop())
  }
  const says = async (node: TestRedis, text: string): Promise<boolean> =>
    String(await ask(node, ['CLUSTER', 'INFO']).catch(() => '')).includes(text)
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()))
  }
  try {
    const share = Math.ceil(slots / masters.length)
    await Promise.all(
      masters.map(async (node, at) => {
        await ask(node, ['CLUSTER', 'SET-CONFIG-EPOCH', at + 1])
        await ask(node, ['CLUSTER', 'ADDSLOTSRANGE', at * share, Math.min(slots, (at + 1) * share) - 1])
      }),
    )
    for (const node of masters.slice(1)) await ask(masters[0]!, ['CLUSTER', 'MEET', '127.0.0.1', node.port])
    await until(async () => (await Promise.all(masters.map((node) => says(node, 'cluster_state:ok')))).every(Boolean), {
      timeoutMs: 30_000,
      what: 'A whole cluster',
    })
  } catch (error) {
    await stop()
    throw error
  }
  return {
    url: masters.map(({ url }) => url).join(','),
    masters,
    ask,
    addReplica: async (of) => {
      const replica = await startNode()
      const id = String(await ask(of, ['CLUSTER', 'MYID']))
      nodes.push(replica)
      const others: TestRedis[] = []
      for (const node of nodes)
        if (
          node !== replica &&
          (await ask(node, ['PING']).then(
            () => true,
            () => false,
          ))
        )
          others.push(node)
      for (const node of others) await ask(replica, ['CLUSTER', 'MEET', '127.0.0.1', node.port])
      await until(
        () =>
          ask(replica, ['CLUSTER', 'REPLICATE', id]).then(
            () => true,
            () => false,
          ),
        { timeoutMs: 10_000 },
      )
      const isThere = async () => String(await ask(replica, ['INFO', 'replication'])).includes('master_link_status:up')
      await until(isThere, { timeoutMs: 20_000, what: 'A replica that has all' })
      // Who does not know it follows it nowhere.
      const isKnownTo = async (node: TestRedis) =>
        String(await ask(node, ['CLUSTER', 'NODES'])).includes(`:${replica.port}@${replica.port + 10_000} slave`)
      const isKnown = async () => (await Promise.all(others.map(isKnownTo))).every(Boolean)
      await until(isKnown, { timeoutMs: 20_000, what: 'A replica that all know' })
      return replica
    },
    deafen: async (master, replica) => {
      replica.signal('SIGSTOP')
      // Else it would still read what was sent to it.
      await ask(master, ['CLIENT', 'KILL', 'TYPE', 'replica'])
    },
    loseMaster: async (master, replica) => {
      master.signal('SIGKILL')
      replica.signal('SIGCONT')
      const isMaster = async () => {
        await ask(replica, ['CLUSTER', 'FAILOVER', 'TAKEOVER']).catch(() => undefined)
        return String(await ask(replica, ['ROLE'])).startsWith('master')
      }
      await until(isMaster, { intervalMs: 200, timeoutMs: 30_000, what: 'The replica as a master' })
    },
    stop,
  }
}

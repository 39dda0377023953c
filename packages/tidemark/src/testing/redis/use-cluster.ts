/** A Redis Cluster that a test file takes before its tests and gives back after them. */
import { afterAll, beforeAll } from 'vitest'
import { startTestCluster, type TestCluster } from './redis-cluster.js'

/** A cluster of this file. */
export const useCluster = (): Omit<TestCluster, 'stop'> => {
  let cluster: TestCluster | undefined
  beforeAll(async () => {
    cluster = await startTestCluster()
  })
  afterAll(() => cluster?.stop())
  return {
    get url() {
      return cluster!.url
    },
    get masters() {
      return cluster!.masters
    },
    ask: (node, command) => cluster!.ask(node, command),
    addReplica: (of) => cluster!.addReplica(of),
    deafen: (master, replica) => cluster!.deafen(master, replica),
    loseMaster: (master, replica) => cluster!.loseMaster(master, replica),
  }
}

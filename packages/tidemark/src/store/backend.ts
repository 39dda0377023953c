/** One of the two stores, opened. */
import type { Kysely, KyselyPlugin, PluginTransformQueryArgs, PluginTransformResultArgs, RootOperationNode } from 'kysely'
import { TidemarkError } from '../errors.js'
import type { StoreKind } from './store.js'

export interface Backend<DB> {
  readonly kind: StoreKind
  /** For transactions. */
  readonly writer: Kysely<DB>
  /** Takes no statement that writes. */
  readonly reader: Kysely<DB>
  close(): Promise<void>
}

const readingKinds = /^(?:SelectQueryNode|RawNode)$/

/** Refuses queries that write by their form; what raw SQL does the store itself tells. */
export const readOnlyPlugin: KyselyPlugin = {
  transformQuery({ node }: PluginTransformQueryArgs): RootOperationNode {
    if (readingKinds.test(node.kind)) return node
    throw new TidemarkError('TM_STORE_READ_ONLY', { what: node.kind.replace(/(?:Query)?Node$/, '').toLowerCase() })
  },
  transformResult: async ({ result }: PluginTransformResultArgs) => result,
}

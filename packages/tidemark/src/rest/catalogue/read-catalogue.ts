import { sqlstateOf } from '../../postgres/postgres-error.js'
import type { Catalogue } from '../catalogue.js'
import { type CatalogueFacts, createCatalogue } from './create-catalogue.js'
import {
  type CatalogueClient,
  constraintsSql,
  digestSql,
  type FunctionFact,
  functionsSql,
  type HeadFact,
  headSql,
  relationsSql,
  type TypeFacts,
  timezonesSql,
  typesSql,
  type UpdatableFact,
  updatableSql,
  type ViewRow,
  viewsSql,
} from './queries.js'

export type { CatalogueClient } from './queries.js'

export interface ReadCatalogueOptions {
  /** The exposed ones, the default one first. */
  readonly schemas: readonly string[]
  /** Where functions, types and views below views are looked for besides. Default: `public` and `extensions`. */
  readonly extraSearchPath?: readonly string[]
  /** Told apart from other readings by this. Default 1. */
  readonly generation?: number
  /** The role whose sessions answer requests: what it may set of other roles' settings. Default: the role that reads. */
  readonly authenticator?: string
  /** Of an earlier reading: Postgres takes long to tell them, and has the same until its next version. */
  readonly timezones?: ReadonlySet<string>
}

export interface Reading {
  readonly catalogue: Catalogue
  /** Differs from that of any other structure, see {@link readDigest}. */
  readonly digest: string
}

/** A lock that a migration holds on a view may keep it from being described. */
const lockTimeoutMs = 10_000

const beginSql = `begin isolation level repeatable read read only;
  set local search_path = ''; set local lock_timeout = ${lockTimeoutMs}; set local extra_float_digits = 1`

/** One short text that differs after any change of structure, for a fraction of what a reading costs. */
export const readDigest = async (client: CatalogueClient): Promise<string> => {
  const { rows } = await client.query<{ digest: string }>(digestSql)
  return rows[0]?.digest ?? ''
}

const ask = async <T>(client: CatalogueClient, text: string, values: readonly unknown[] = []): Promise<T> => {
  const { rows } = await client.query<{ facts: T }>(text, values)
  return rows[0]!.facts
}

/** The relations of rows that functions give and that are not among the exposed ones anyway. */
const returnedRelations = ({ types }: TypeFacts, functions: readonly FunctionFact[]): readonly number[] => {
  const byOid = new Map(types.map((fact) => [fact[0], fact] as const))
  const relationOf = (oid: string): number => {
    const fact = byOid.get(oid)
    if (!fact) return 0
    return fact[7] === '0' ? Number(fact[9]) : relationOf(fact[7]!)
  }
  return [...new Set(functions.map(({ returns }) => relationOf(String(returns))).filter((oid) => oid !== 0))]
}

/** A wrapper without a handler, one whose library is gone, and whatever it may raise itself; not a lost connection or a lock. */
const isBroken = (error: unknown): boolean => {
  const state = sqlstateOf(error)
  return state !== undefined && !/^(08|40|53|55P03|57)/.test(state)
}

/** Of a whole list at once; where that fails, one by one, so that one broken foreign table does not hide all the others. */
const readUpdatable = async (client: CatalogueClient, oids: readonly number[]): Promise<readonly UpdatableFact[]> => {
  if (oids.length === 0) return []
  await client.query('savepoint updatable')
  try {
    return await ask<readonly UpdatableFact[]>(client, updatableSql, [oids])
  } catch (error) {
    await client.query('rollback to updatable')
    if (!isBroken(error)) throw error
    if (oids.length === 1) return []
  }
  const half = Math.ceil(oids.length / 2)
  return [...(await readUpdatable(client, oids.slice(0, half))), ...(await readUpdatable(client, oids.slice(half)))]
}

const readFacts = async (client: CatalogueClient, options: ReadCatalogueOptions): Promise<CatalogueFacts> => {
  const { schemas, extraSearchPath = ['public', 'extensions'], generation = 1, authenticator = null } = options
  const head = await ask<HeadFact>(client, headSql, [[...schemas, ...extraSearchPath], authenticator])
  const oids = (names: readonly string[]) => head.schemas.filter(({ name }) => names.includes(name)).map(({ oid }) => oid)
  const exposed = oids(schemas)
  const types = await ask<TypeFacts>(client, typesSql)
  const functions = await ask<CatalogueFacts['functions']>(client, functionsSql, [exposed, oids(extraSearchPath)])
  const relations = await ask<CatalogueFacts['relations']>(client, relationsSql, [exposed, returnedRelations(types, functions)])
  const viewed = relations.filter(({ kind }) => kind === 'v' || kind === 'f').map(({ oid }) => oid)
  const updatable = new Map((await readUpdatable(client, viewed)).map(({ oid, bits }) => [oid, bits] as const))
  const major = Math.floor(head.versionNumber / 10_000)
  const constraints = await ask<CatalogueFacts['constraints']>(client, constraintsSql(major))
  const { rows: views } = await client.query<ViewRow>(viewsSql, [head.schemas.map(({ oid }) => oid)])
  const timezones = options.timezones ?? new Set(await ask<readonly string[]>(client, timezonesSql))
  return { schemas, extraSearchPath, generation, head, types, functions, relations, updatable, constraints, views, timezones }
}

/** Does something as of one moment, with an empty search path. */
const atOneMoment = async <T>(client: CatalogueClient, work: () => Promise<T>): Promise<T> => {
  await client.query(beginSql)
  try {
    return await work()
  } finally {
    // Where the connection is gone, so is the transaction; the first error is the one to tell.
    await client.query('rollback').catch(() => undefined)
  }
}

/** The catalogue, and the digest of the same moment. */
export const readWithDigest = (client: CatalogueClient, options: ReadCatalogueOptions): Promise<Reading> =>
  atOneMoment(client, async () => {
    const catalogue = createCatalogue(await readFacts(client, options))
    return { catalogue, digest: await readDigest(client) }
  })

/**
 * Reads what the exposed schemas hold, as of one moment, with a handful of queries of Postgres' own tables. The session must be in no
 * transaction; any role can do it.
 */
export const readCatalogue = async (client: CatalogueClient, options: ReadCatalogueOptions): Promise<Catalogue> =>
  createCatalogue(await atOneMoment(client, () => readFacts(client, options)))

/** What a client asks for when it joins a channel. */
type Params = Readonly<Record<string, unknown>>

export interface JoinRequest {
  /** Without `config`: the topic itself says which table is asked for, and changes are told under their own names. */
  readonly legacy: boolean
  readonly ack: boolean
  readonly self: boolean
  readonly replicationReady: boolean
  readonly private: boolean
  /** `invalid`: asked for, and not as it has to be. */
  readonly replay: { readonly since: number; readonly limit: number | undefined } | 'invalid' | undefined
  /** True: the client wants to know positions. A string: it names where it was. */
  readonly position: string | true | undefined
  readonly presenceKey: string | undefined
  readonly presenceEnabled: boolean
  /** As sent, in their order; told back with their ids. */
  readonly changes: readonly Params[]
  /** A join fails where its changes cannot be told. */
  readonly wait: boolean
  /** What could not be read, by the names of the fields. The rest counts. */
  readonly problems: readonly string[]
}

const isParams = (value: unknown): value is Params => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Reads fields of a payload, and notes those that are not what they should be. */
class Reader {
  readonly problems: string[] = []

  map(parent: Params, name: string): Params {
    const value = parent[name] ?? undefined
    if (value === undefined) return {}
    if (isParams(value)) return value
    this.problems.push(`${name}: unable to parse, expected a map`)
    return {}
  }

  flag(parent: Params, name: string, otherwise = false): boolean {
    const value = parent[name] ?? undefined
    if (value === undefined) return otherwise
    if (typeof value === 'boolean') return value
    const word = typeof value === 'string' ? value.toLowerCase() : ''
    if (word === 'true' || word === 'false') return word === 'true'
    this.problems.push(`${name}: unable to parse, expected boolean`)
    return otherwise
  }

  text(parent: Params, name: string): string | undefined {
    const value = parent[name] ?? undefined
    if (value === undefined || value === '') return undefined
    if (typeof value === 'string') return value
    this.problems.push(`${name}: unable to parse, expected string`)
    return undefined
  }

  list(parent: Params, name: string): readonly Params[] {
    const value = parent[name] ?? []
    if (!Array.isArray(value)) {
      this.problems.push(`${name}: unable to parse, expected a list`)
      return []
    }
    if (value.every(isParams)) return value
    const there = value.filter((entry) => entry !== null)
    if (!there.every(isParams)) this.problems.push(`${name}: unable to parse, expected maps`)
    return there.filter(isParams)
  }
}

const replayOf = (broadcast: Params): JoinRequest['replay'] => {
  const replay = broadcast['replay'] ?? undefined
  if (replay === undefined) return undefined
  if (!isParams(replay)) return 'invalid'
  const { since, limit = undefined } = replay
  const isWhole = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value)
  if (!isWhole(since) || !(limit === undefined || limit === null || isWhole(limit))) return 'invalid'
  return { since, limit: limit ?? undefined }
}

const positionOf = (broadcast: Params): JoinRequest['position'] => {
  const position = broadcast['position']
  if (typeof position === 'string' && position !== '') return position
  return position === true ? true : undefined
}

/** The token of the channel that a join names; undefined where that of the socket counts, as for opaque keys. */
export const tokenOf = (payload: unknown): string | undefined => {
  if (!isParams(payload)) return undefined
  const [user, access] = [payload['user_token'], payload['access_token']]
  const given = typeof access === 'string' && access !== '' ? access : user
  if (typeof given !== 'string' || given === '' || given.startsWith('sb_')) return undefined
  return typeof user === 'string' && user !== '' ? user : given
}

/** `schema`, `schema:table` or `schema:table:filter`. */
const legacyChanges = (name: string): readonly Params[] => {
  const [schema, table, ...filter] = name.split(':')
  return [{ schema, ...(table !== undefined && { table }), ...(filter.length > 0 && { filter: filter.join(':') }) }]
}

const none: readonly never[] = []

const listOf = (reader: Reader, config: Params): readonly Params[] => {
  const list = reader.list(config, 'postgres_changes')
  return list.length > 0 ? list : none
}

/** Reads the payload of a join. What is not as it should be is left out and noted, never refused. */
export const readJoin = (payload: unknown, name: string): JoinRequest => {
  const given = isParams(payload) ? payload : {}
  const reader = new Reader()
  const config = reader.map(given, 'config')
  const [broadcast, presence] = [reader.map(config, 'broadcast'), reader.map(config, 'presence')]
  const legacy = given['config'] === undefined
  return {
    legacy,
    ack: reader.flag(broadcast, 'ack'),
    self: reader.flag(broadcast, 'self'),
    replicationReady: reader.flag(broadcast, 'replication_ready'),
    private: reader.flag(config, 'private'),
    replay: replayOf(broadcast),
    position: positionOf(broadcast),
    presenceKey: reader.text(presence, 'key'),
    presenceEnabled: reader.flag(presence, 'enabled', true),
    changes: legacy ? legacyChanges(name) : listOf(reader, config),
    wait: reader.flag(reader.map(config, 'postgres_changes_options'), 'wait'),
    problems: reader.problems.length > 0 ? reader.problems : none,
  }
}

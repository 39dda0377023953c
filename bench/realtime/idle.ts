// What connections take that say nothing.
import { joinFrame, type Part, type Side } from './part.ts'
import { startCrowd } from './program.ts'

const channels = 5
/** Of one process, which may not open as many files as we want sockets. */
const spare = 500
const kibibyte = 1024

/** Before the first connection that counts: rooms of the heap are opened, and code is compiled. */
const firstShare = 0.1

const table = 'bench_idle'
const listening = { postgres_changes: [{ event: '*', schema: 'public', table }] }

/** Joins of a client's channels. */
const joins = (config: object): readonly string[] =>
  Array.from({ length: channels }, (_, n) => joinFrame(`room-{n}-${n}`, config))

/** Bytes a connection, from the first tenth of them to the last. */
const bytesEach = async ({ serving, port, path }: Side, connections: number, greetings: readonly string[]): Promise<number> => {
  const first = startCrowd()
  const crowds = [first]
  try {
    const { files } = await first.ask('limit', {})
    if (connections + spare > files)
      throw new Error(`${connections} connections need more open files than the ${files} that \`ulimit -n\` allows`)
    const before = Math.max(1, Math.floor(connections * firstShare))
    const opening = {
      port,
      path,
      greetings,
      ...(greetings.length > 0 && { answer: '"phx_reply"', answers: channels }),
    }
    await first.ask('open', { ...opening, count: before })
    const start = await serving.ask('usage', { collect: true })
    // Half of the rest in each of two.
    const rest = connections - before
    for (const count of [Math.ceil(rest / 2), Math.floor(rest / 2)]) {
      const crowd = startCrowd()
      crowds.push(crowd)
      await crowd.ask('open', { ...opening, count })
    }
    const end = await serving.ask('usage', { collect: true })
    return (end.residentBytes - start.residentBytes) / rest
  } finally {
    for (const crowd of crowds) await crowd.end()
  }
}

export const idle: Part = async (stage, { idle: connections, signal }) => {
  await stage.postgres.client.query(`
    set role tidemark_migrator;
    drop table if exists ${table};
    create table ${table} (id bigint primary key);
    grant select on ${table} to anon;
    alter publication supabase_realtime add table ${table};
    reset role`)
  const plain = await bytesEach(stage.ws, connections, [])
  signal.throwIfAborted()
  const quiet = await bytesEach(stage.tidemark, connections, joins({}))
  signal.throwIfAborted()
  const ours = await bytesEach(stage.tidemark, connections, joins(listening))
  const measure = { name: 'realtime-idle-kib-a-connection', values: [ours / kibibyte] }
  return {
    figures: [
      { name: `${connections} idle connections, ${channels} channels of a table each`, values: measure.values, unit: 'KiB each' },
      { name: 'with channels that listen to no table', values: [quiet / kibibyte], unit: 'KiB each' },
      { name: 'ws, without channels', values: [plain / kibibyte], unit: 'KiB each' },
    ],
    measures: [measure],
    targets: [{ measure, what: `a connection with ${channels} channels of a table takes at most 15 KiB`, limit: 15 }],
  }
}

import pg from 'pg'
import { feedConformance } from '../../../testing/feed/feed-conformance.js'
import { installOutbox, removeOutbox } from './install-outbox.js'
import { createOutboxSource } from './outbox-source.js'
import { openPool } from './testing/open-outbox.js'

const withClient = async (url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

feedConformance(
  'the outbox',
  async ({ url, name, tables }) => {
    await withClient(url, (client) => installOutbox(client, tables))
    const { pool, close } = openPool(url)
    const source = createOutboxSource({ pool, name, tables, pollMs: 10 })
    await source.open()
    let stopped: Promise<void> | undefined
    return {
      kind: source.kind,
      guarantee: source.guarantee,
      events: (signal, from) => source.events(signal, from),
      confirm: (position) => source.confirm(position),
      lag: () => source.lag(),
      // The pool is ours, so it ends with the source.
      stop: () => {
        stopped ??= source.stop().then(close)
        return stopped
      },
    }
  },
  { order: 'visibility', cleanUp: (url) => withClient(url, (client) => removeOutbox(client, 'all')) },
)

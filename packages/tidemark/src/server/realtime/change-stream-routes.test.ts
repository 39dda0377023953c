import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { createFindCaller, digestOf, type KnownKey } from '../../auth/find-caller.js'
import { createVerifier } from '../../auth/verifier.js'
import { createMetrics } from '../../observability/metrics.js'
import { silentLogger } from '../../observability/observability.js'
import { createMemoryChanges } from '../../realtime/protocols/supabase/testing/memory-changes.js'
import { openEventStream } from '../../testing/event-stream.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { createHttp } from '../http/http.js'
import { addChangeStreamRoutes } from './change-stream-routes.js'

const cleanups = useCleanups()
const keyOf = (key: string): KnownKey => ({ digest: digestOf(key), role: 'service_role' })

test('SEC: a stream ends when its key was taken back, and no other', async () => {
  let known = [keyOf('sb_secret_old'), keyOf('sb_secret_new')]
  const verifier = createVerifier({ keys: { secrets: ['a secret of at least thirty-two characters'], publicKeys: [] } })
  const findCaller = createFindCaller({ verifier, keys: () => known })
  const changes = createMemoryChanges(['todos'])
  const metrics = createMetrics()
  const app = await createHttp({ log: silentLogger, metrics })
  const limits = { maxStreams: 10, maxBufferedBytes: 100_000, confirmEveryMs: 20 }
  await addChangeStreamRoutes(app, { changes: () => changes, findCaller, log: silentLogger, metrics, ...limits })
  await app.listen({ host: '127.0.0.1', port: 0 })
  cleanups.push(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const listen = (apikey: string) => openEventStream(`http://127.0.0.1:${port}/realtime/v1/changes?table=todos`, { apikey })
  const [old, current] = [await listen('sb_secret_old'), await listen('sb_secret_new')]
  known = known.slice(1)
  await until(() =>
    old.events.some(({ event, data }) => event === 'end' && data['reason'] === 'the key or the token counts no more'),
  )
  changes.commit(['INSERT', 'todos', { id: 1 }])
  await until(() => current.events.some(({ event }) => event === 'change'))
  expect(old.events.map(({ event }) => event)).toEqual(['ready', 'end'])
})

import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createTidemark } from '../tidemark.js'
import {
  TidemarkProvider,
  useChannel,
  useConnection,
  useHealth,
  useInfiniteRows,
  useLiveQuery,
  useMutation,
  usePresence,
  useRow,
} from './index.js'

test('a page that a server renders ahead says that it connects, and asks for nothing', async () => {
  const asked: unknown[] = []
  const client = createTidemark('http://localhost:1', 'key', {
    supabase: {
      realtime: { transport: WebSocket as never },
      global: { fetch: async (input) => Promise.reject(asked.push(input)) },
    },
  })
  const Page = () => {
    const list = useLiveQuery('notes')
    const pages = useInfiniteRows('notes')
    const { row } = useRow('notes', 1)
    const add = useMutation('notes', 'insert')
    const channel = useChannel('room')
    const { present } = usePresence('room', { name: 'Ann' })
    const connection = useConnection()
    const { isLoading } = useHealth()
    const said = [
      list.state,
      pages.rows.length,
      row,
      add.status,
      channel.state,
      Object.keys(present).length,
      connection,
      isLoading,
    ]
    return createElement('output', null, said.map(String).join(' '))
  }
  expect(renderToString(createElement(TidemarkProvider, { client }, createElement(Page)))).toContain(
    'connecting 0 undefined idle connecting 0 connecting true',
  )
  expect(asked).toEqual([])
  await client.stop()
})

import { describe, expect, test } from 'vitest'
import { useClient } from '../testing/use-database.js'
import { useAuthServer } from './testing/use-auth-server.js'

const server = useAuthServer({ env: { TIDEMARK_AUTH_AUTOCONFIRM: 'true' } })
const db = useClient({
  get url() {
    return server.databaseUrl
  },
})
const password = 'correct horse'

describe('sign-up', () => {
  test('by email gives a session', async () => {
    const { data, error } = await server
      .client()
      .signUp({ email: 'Ana@Example.com', password, options: { data: { full_name: 'Ana' } } })
    expect(error).toBeNull()
    expect(data.user).toMatchObject({ email: 'ana@example.com' })
    expect(data.session).toMatchObject({ token_type: 'bearer' })
  })
})

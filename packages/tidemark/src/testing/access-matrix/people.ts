/** Who comes over the API of an application whose users are uuids: two who own rows, one each of those who do not, and the server. */
const alice = '5f3a1c1e-6a55-4f3e-9d0f-3b1f6f0c1a01'
const bob = '5f3a1c1e-6a55-4f3e-9d0f-3b1f6f0c1b02'

const user = (sub: string, claims: object = {}) => ({ role: 'authenticated', claims: { sub, ...claims } })

/** For {@link accessMatrix}: `accessMatrix({ ...people, tables: … })`. */
export const people = {
  owners: [alice, bob],
  callers: {
    anon: { role: 'anon' },
    alice: { ...user(alice), owner: alice },
    bob: { ...user(bob), owner: bob },
    admin: user('5f3a1c1e-6a55-4f3e-9d0f-3b1f6f0c1c03', { app_metadata: { role: 'admin' } }),
    /** Calls itself an admin, where users may write about themselves. */
    pretender: user('5f3a1c1e-6a55-4f3e-9d0f-3b1f6f0c1d04', { user_metadata: { role: 'admin' } }),
    service: { role: 'service_role' },
    server: { role: 'tidemark_app' },
  },
} as const

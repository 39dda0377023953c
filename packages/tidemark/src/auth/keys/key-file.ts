import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { z } from 'zod'
import { TidemarkError } from '../../errors.js'
import { hasErrno, usable, writeWhole } from '../../state/files.js'
import type { State } from '../../state/state.js'

/** What every key has: without `until` it is the current one of its kind, with it it counts until then. */
const key = { createdAt: z.iso.datetime(), until: z.iso.datetime().optional() }

const keyFile = z.object({
  version: z.literal(1),
  /** HS256. `issuedAt` in seconds: that of the JWT keys, which stay the same as long as the secret does. */
  jwtSecrets: z.array(z.object({ id: z.string(), secret: z.string().min(1), issuedAt: z.number(), ...key })),
  /** ES256, as private JWKs. */
  signingKeys: z.array(z.object({ kid: z.string(), x: z.string(), y: z.string(), d: z.string(), ...key })),
  /** Opaque keys. */
  apiKeys: z.array(z.object({ id: z.string(), kind: z.enum(['publishable', 'secret']), value: z.string(), ...key })),
})

/** The keys that were generated for a project, as its state folder keeps them. */
export type KeyFile = z.output<typeof keyFile>

const fileName = 'auth-keys.json'

const newId = (): string => randomBytes(6).toString('hex')

export const newJwtSecret = (now: Date): KeyFile['jwtSecrets'][number] => ({
  id: newId(),
  secret: randomBytes(32).toString('base64url'),
  issuedAt: Math.floor(now.getTime() / 1000),
  createdAt: now.toISOString(),
})

export const newApiKey = (kind: 'publishable' | 'secret', now: Date): KeyFile['apiKeys'][number] => ({
  id: newId(),
  kind,
  value: `sb_${kind}_${randomBytes(24).toString('base64url')}`,
  createdAt: now.toISOString(),
})

export const newSigningKey = (now: Date): KeyFile['signingKeys'][number] => {
  const { x, y, d } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  return { kid: randomUUID(), x: String(x), y: String(y), d: String(d), createdAt: now.toISOString() }
}

/** The first keys of a project. Its secret may have been drawn before there was a file of keys. */
const firstKeys = async (state: State, now: Date): Promise<KeyFile> => {
  const secret = await state.secret('jwt-secret')
  const issuedAt = Number(await state.secret('keys-issued-at', () => String(Math.floor(now.getTime() / 1000))))
  return {
    version: 1,
    jwtSecrets: [{ ...newJwtSecret(now), secret, issuedAt }],
    signingKeys: [],
    apiKeys: [newApiKey('publishable', now), newApiKey('secret', now)],
  }
}

const read = async (path: string): Promise<KeyFile | undefined> => {
  let content: unknown
  try {
    content = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    // Not JSON: answered below, and without the parser's message, which quotes the content.
    if (!(error instanceof SyntaxError)) throw error
  }
  const parsed = keyFile.safeParse(content)
  if (parsed.success) return parsed.data
  throw new TidemarkError('TM_STATE_FOLDER_UNUSABLE', { path, reason: 'the file does not hold the keys of a project' })
}

const write = (path: string, keys: KeyFile): Promise<void> => writeWhole(path, `${JSON.stringify(keys, undefined, 2)}\n`)

/** The project's keys; makes the first ones. Raises TM_STATE_*. */
export const readKeys = (state: State, now: () => Date): Promise<KeyFile> => {
  const path = state.path(fileName)
  return usable(state.dir, async () => (await read(path)) ?? changeKeys(state, now, (keys) => keys))
}

/** Changes the keys while nobody else does. Raises TM_STATE_*. */
export const changeKeys = (state: State, now: () => Date, change: (keys: KeyFile) => KeyFile): Promise<KeyFile> => {
  const path = state.path(fileName)
  return usable(state.dir, () =>
    state.lock('auth-keys', async () => {
      const known = await read(path)
      const changed = change(known ?? (await firstKeys(state, now())))
      if (changed !== known) await write(path, changed)
      return changed
    }),
  )
}

/** Another text means that the file may have changed. */
export const keyFileMark = async (state: State): Promise<string> => {
  try {
    const { ino, mtimeMs, size } = await stat(state.path(fileName))
    return `${ino}/${mtimeMs}/${size}`
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return 'none'
    throw error
  }
}

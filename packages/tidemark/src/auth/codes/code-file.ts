import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { CodeMessage, SendCode } from '../../config/config.js'
import { hasErrno, writeWhole } from '../../state/files.js'
import type { State } from '../../state/state.js'

const fileName = 'auth-codes.json'
/** The latest ones are enough for trying things out. */
const maxKept = 100

const keptCodes = z.array(
  z.object({
    kind: z.string(),
    channel: z.string(),
    to: z.string(),
    code: z.string(),
    link: z.string().optional(),
    userId: z.string(),
    madeAt: z.string(),
    expiresAt: z.string(),
  }),
)

/** A code that would have been sent. */
export type KeptCode = z.output<typeof keptCodes>[number]

const read = async (path: string): Promise<readonly KeptCode[]> => {
  try {
    return keptCodes.catch([]).parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (hasErrno(error, 'ENOENT') || error instanceof SyntaxError) return []
    throw error
  }
}

/** The codes of the last while, the latest first; those that count no more left out. */
export const readCodes = async (state: State, now: Date): Promise<readonly KeptCode[]> =>
  (await read(state.path(fileName))).filter(({ expiresAt }) => Date.parse(expiresAt) > now.getTime())

/** For development: keeps codes in the state folder, which only this machine's user can read. `tidemark auth codes` shows them. */
export const developmentSender =
  (state: State, now: () => Date): SendCode =>
  async ({ kind, channel, to, code, link, userId, expiresAt }: CodeMessage) => {
    const path = state.path(fileName)
    const kept: KeptCode = {
      kind,
      channel,
      to,
      code,
      ...(link !== undefined && { link }),
      userId,
      madeAt: now().toISOString(),
      expiresAt: expiresAt.toISOString(),
    }
    await state.lock('auth-codes', async () => {
      const codes = [kept, ...(await readCodes(state, now()))].slice(0, maxKept)
      await writeWhole(path, `${JSON.stringify(codes, undefined, 2)}\n`)
    })
  }

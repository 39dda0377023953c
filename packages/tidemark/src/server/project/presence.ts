import { isAlive, ownIdentity, type State } from '../../state/state.js'

/** A running server of this project, as another command of the project finds it. */
export interface Presence {
  readonly url: string
  readonly pid: number
  readonly startedAtMs: number
}

const name = 'server'

/** Leaves word that this process serves the project at that address. The token to ask it with is in the state folder already. */
export const announce = async (state: State, url: string, startedAtMs: number): Promise<void> => {
  await state.child(name).write({ ...(await ownIdentity()), port: Number(new URL(url).port), startedAtMs, details: { url } })
}

/** Takes the word back, unless a later server of the project has left its own. */
export const withdraw = async (state: State): Promise<void> => {
  const record = state.child(name)
  if ((await record.read())?.pid === process.pid) await record.clear()
}

/** The server that runs for the project; undefined where none does, or the one that did was killed. */
export const findServer = async (state: State): Promise<Presence | undefined> => {
  const found = await state.child(name).read()
  const url = found?.details?.['url']
  if (!found || typeof url !== 'string' || !(await isAlive(found))) return undefined
  return { url, pid: found.pid, startedAtMs: found.startedAtMs }
}

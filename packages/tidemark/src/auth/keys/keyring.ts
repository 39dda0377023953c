import type { TidemarkConfig } from '../../config/config.js'
import type { State } from '../../state/state.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { keyFileMark, readKeys } from './key-file.js'
import { type KeySet, keySetOf } from './key-set.js'
import type { ApiKeys } from './sign-api-key.js'

/** The project's keys, as they are now: a rotation by a command reaches a running server within seconds. */
export interface Keyring {
  /** The same object as long as nothing changed. Raises TM_STATE_*. */
  current(): Promise<KeySet>
}

/** How often the file is looked at. */
const checkEveryMs = 2_000

interface Known {
  readonly keys: KeySet
  readonly mark: string
}

/** Opens the keys of a project. Nothing is read before they are asked for. */
export const openKeyring = (config: TidemarkConfig, state: State, clock: Clock = systemClock): Keyring => {
  let known: Known | undefined
  let checkedAtMs = Number.NEGATIVE_INFINITY
  let checking: Promise<KeySet> | undefined

  const load = async (mark: string): Promise<KeySet> => {
    const file = await readKeys(state, () => new Date(clock.now()))
    const keys = await keySetOf(config, file, clock.now())
    known = { keys, mark: mark === 'none' ? await keyFileMark(state) : mark }
    return keys
  }

  const check = async (): Promise<KeySet> => {
    try {
      const mark = await keyFileMark(state)
      const changed = known === undefined || known.mark !== mark || known.keys.changesAtMs <= clock.now()
      return changed ? await load(mark) : known!.keys
    } catch (error) {
      // A disk in trouble should not lock out everybody whose keys are known.
      if (known) return known.keys
      throw error
    } finally {
      checkedAtMs = clock.monotonicMs()
    }
  }

  return {
    current: async () => {
      const fresh = clock.monotonicMs() - checkedAtMs < checkEveryMs && known !== undefined
      if (fresh && known!.keys.changesAtMs > clock.now()) return known!.keys
      checking ??= check().finally(() => {
        checking = undefined
      })
      return checking
    },
  }
}

/** The JWT keys of the project: the configured ones, else generated ones, which stay the same as long as their secret does. */
export const apiKeysOf = async (config: TidemarkConfig, state: State): Promise<ApiKeys> => {
  const { anonKey, serviceRoleKey } = config.supabase
  if (anonKey !== undefined && serviceRoleKey !== undefined) return { anon: anonKey, service: serviceRoleKey }
  return (await openKeyring(config, state).current()).apiKeys
}

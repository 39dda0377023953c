import type { TidemarkConfig } from '../config/config.js'
import type { Interrupt } from './terminal/interrupt.js'
import type { Io, Terminal } from './terminal/terminal.js'

/** What every command gets, besides its own arguments. */
export interface CommandContext {
  readonly io: Io
  readonly terminal: Terminal
  readonly interrupt: Interrupt
  /** `--yes`: nothing is asked. */
  readonly yes: boolean
  /** `--dry-run`: nothing is changed. */
  readonly dryRun: boolean
  /** The project's configuration under the flags of this call. Raises TM_CONFIG_*. */
  config(): Promise<TidemarkConfig>
}

/** A command: its operands in order (those of one that repeats one after the other) and its flags. Gives the exit code; nothing means 0. */
export type Run<Flags = object> = (
  context: CommandContext,
  operands: readonly (string | undefined)[],
  flags: Flags,
) => Promise<number | undefined>

/** Makes an action for commander of a command that is loaded only when it is called. */
export type Lazily = <Flags>(load: () => Promise<Run<Flags>>) => (...parsed: unknown[]) => Promise<void>

export interface GlobalFlags {
  readonly json?: boolean
  readonly yes?: boolean
  readonly dryRun?: boolean
  readonly quiet?: boolean
  readonly verbose?: boolean
  readonly color?: boolean
  readonly config?: string
}

export const createContext = (io: Io, terminal: Terminal, interrupt: Interrupt, flags: GlobalFlags): CommandContext => {
  let loaded: Promise<TidemarkConfig> | undefined
  const load = async (): Promise<TidemarkConfig> => {
    const { loadConfig, pickFlags } = await import('../config/config.js')
    const parsed = { ...flags } as Readonly<Record<string, unknown>>
    return loadConfig({
      cwd: io.cwd,
      env: io.env,
      flags: pickFlags(parsed),
      ...(flags.config !== undefined && { path: flags.config }),
    })
  }
  return {
    io,
    terminal,
    interrupt,
    yes: flags.yes === true,
    dryRun: flags.dryRun === true,
    config: () => {
      loaded ??= load()
      return loaded
    },
  }
}

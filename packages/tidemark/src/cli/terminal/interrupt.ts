import { exitCodes, TidemarkError } from '../../errors.js'

/** What a command leaves behind when it is interrupted now, and how to go on. */
export interface LastWords {
  readonly state: string
  readonly fix: string
}

export interface Interrupt {
  /** Aborted by the first Ctrl-C (or SIGTERM), with TM_CLI_INTERRUPTED as its reason. */
  readonly signal: AbortSignal
  /** Says what will be true if the interrupt comes from now on. */
  setLastWords(words: LastWords): void
  /** Stops listening: from now on a signal ends the process as it does any other. */
  release(): void
}

const nothingDone: LastWords = { state: 'nothing was changed.', fix: 'Run the command again when you like.' }
// Not SIGHUP: `nohup` has it ignored, and a handler would undo that.
const signals = ['SIGINT', 'SIGTERM'] as const

/** Ctrl-C asks the command to end in good order; a second one ends the process at once. */
export const createInterrupt = (source: NodeJS.EventEmitter, exit: (code: number) => void): Interrupt => {
  const controller = new AbortController()
  let words = nothingDone
  const interrupt = (): void => {
    if (controller.signal.aborted) exit(exitCodes.interrupted)
    controller.abort(new TidemarkError('TM_CLI_INTERRUPTED', { ...words }))
  }
  for (const name of signals) source.on(name, interrupt)
  return {
    signal: controller.signal,
    setLastWords: (next) => {
      words = next
    },
    release: () => {
      for (const name of signals) source.off(name, interrupt)
    },
  }
}

/** What the processes of the realtime benchmark say to each other. */

/** Sockets that are opened alike: `{n}` in a greeting is the socket's number, `{token}` its token. */
export interface Opening {
  readonly port: number
  readonly path: string
  readonly count: number
  readonly greetings: readonly string[]
  readonly tokens?: readonly string[]
  /** A frame with all of these words ends the wait for a socket as often as `answers` says. */
  readonly answer?: string
  readonly answers?: number
  /** Only frames with this word near their beginning are counted. */
  readonly counted?: string
}

export interface CrowdCalls {
  open: { readonly given: Opening; readonly answer: { readonly opened: number } }
  /** The first socket sends the frames at once, and the rest wait for all of them; so often. Milliseconds until the last one had the last. */
  rounds: {
    readonly given: { readonly frames: readonly string[]; readonly times: number }
    readonly answer: { readonly lastMs: readonly number[] }
  }
  /** Waits until so many frames were counted over all sockets since the last call. Ages are those of rows that say when they were asked for. */
  heard: {
    readonly given: { readonly frames: number; readonly timeoutMs: number }
    readonly answer: { readonly ages: readonly number[]; readonly lastAt: number; readonly most: number; readonly least: number }
  }
  limit: { readonly given: object; readonly answer: { readonly files: number } }
  close: { readonly given: object; readonly answer: object }
}

export interface ServingCalls {
  start: {
    readonly given:
      | { readonly kind: 'ws' }
      | { readonly kind: 'tidemark'; readonly url: string; readonly folder: string; readonly secret: string }
    readonly answer: { readonly port: number; readonly anonKey: string }
  }
  /** Memory that could be had back at any time counts only where it is not collected before. */
  usage: {
    readonly given: { readonly collect: boolean }
    readonly answer: { readonly cpuUs: number; readonly residentBytes: number }
  }
  stop: { readonly given: object; readonly answer: object }
}

export type Calls = Readonly<Record<string, { readonly given: object; readonly answer: object }>>

export interface Asked {
  readonly id: number
  readonly name: string
  readonly given: object
}

export interface Answered {
  readonly id: number
  readonly answer?: object
  readonly error?: string
}

/** Answers what this process is asked, one after the other or not. */
export const answerCalls = <C>(
  answers: { readonly [N in keyof C]: (given: (C[N] & { given: never })['given']) => Promise<object> | object },
): void => {
  const byName = answers as unknown as Readonly<Record<string, (given: object) => Promise<object> | object>>
  process.on('message', async ({ id, name, given }: Asked) => {
    try {
      process.send?.({ id, answer: await byName[name]!(given) } satisfies Answered)
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) } satisfies Answered)
    }
  })
  // Whoever asked is gone.
  process.on('disconnect', () => process.exit(0))
}

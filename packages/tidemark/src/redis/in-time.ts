interface InTimeOptions {
  readonly limitMs: number
  readonly signal: AbortSignal | undefined
  /** Makes the error of the time-out; called when it has passed. */
  readonly late: () => Error
}

/**
 * The outcome of `answer`, unless the time or the caller's patience ends first. Leaner than `withTimeout`, and on the real
 * clock: it runs once for every command.
 */
export const inTime = async <T>(answer: Promise<T>, { limitMs, signal, late }: InTimeOptions): Promise<T> => {
  let cut: (error: unknown) => void = () => {}
  const cutShort = new Promise<never>((_resolve, reject) => {
    cut = reject
  })
  const timer = setTimeout(() => cut(late()), limitMs)
  const abort = () => cut(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([answer, cutShort])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

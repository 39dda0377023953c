/** What may be written down of an error: its kind and where it came from. Its message may quote a row, and so the words of a yarn (SEC-2). */
export interface Failure {
  readonly kind: string
  readonly at?: string
}

const codeOf = (error: object): string | undefined => {
  const { code } = error as { readonly code?: unknown }
  return typeof code === 'string' && /^\w{1,64}$/.test(code) ? code : undefined
}

export const failureOf = (error: unknown): Failure => {
  if (!(error instanceof Error)) return { kind: 'Unknown' }
  const at = error.stack
    ?.split('\n')
    .filter((line) => /^\s+at \S/.test(line) && !error.message.includes(line))
    .slice(0, 6)
    .join('\n')
  return { kind: codeOf(error) ?? error.name, ...(at && { at }) }
}

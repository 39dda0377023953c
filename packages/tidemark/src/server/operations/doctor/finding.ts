export type Verdict = 'ok' | 'warn' | 'fail'

export interface Finding {
  readonly check: string
  readonly verdict: Verdict
  /** What was found. */
  readonly message: string
  /** What to do about it; null where nothing is to be done. */
  readonly fix: string | null
  /** Something that was needed did not answer. */
  readonly unreachable?: true
}

export const ok = (check: string, message: string): Finding => ({ check, verdict: 'ok', message, fix: null })
export const warn = (check: string, message: string, fix: string): Finding => ({ check, verdict: 'warn', message, fix })
export const fail = (check: string, message: string, fix: string): Finding => ({ check, verdict: 'fail', message, fix })
export const away = (check: string, message: string, fix: string): Finding => ({
  ...fail(check, message, fix),
  unreachable: true,
})

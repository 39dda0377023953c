import { AuthError } from '../auth-error.js'
import { invalid } from '../fields.js'
import type { AuthSettings } from '../settings.js'

type Rules = Pick<AuthSettings, 'passwordMinLength' | 'passwordMaxLength'>

/** What a password lacks; undefined where it is strong enough. */
export const weaknessOf = (
  password: string,
  { passwordMinLength }: Rules,
): { readonly message: string; readonly reasons: readonly string[] } | undefined =>
  [...password].length < passwordMinLength
    ? { message: `Password should be at least ${passwordMinLength} characters.`, reasons: ['length'] }
    : undefined

/** Raises AuthError for a password that may not be set. */
export const checkPassword = (password: string, rules: Rules): void => {
  if ([...password].length > rules.passwordMaxLength)
    throw invalid(`Password cannot be longer than ${rules.passwordMaxLength} characters`)
  const weakness = weaknessOf(password, rules)
  if (weakness) throw new AuthError(422, 'weak_password', weakness.message, { reasons: weakness.reasons })
}

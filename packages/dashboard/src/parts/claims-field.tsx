import { TextField } from './field.tsx'

const isObject = (text: string): boolean => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

/** Whether the text is claims that a token may hold; nothing is, too. */
export const areClaims = (text: string): boolean => text.trim() === '' || isObject(text)

/** What a user's token says besides the role and the user's id, as JSON. */
export const ClaimsField = ({ value, onChange }: { readonly value: string; readonly onChange: (value: string) => void }) => (
  <TextField
    label="Further claims"
    placeholder='{"app_metadata": {"role": "admin"}}'
    value={value}
    wrong={areClaims(value) ? undefined : 'It is not an object of JSON.'}
    onChange={({ target }) => onChange(target.value)}
  />
)

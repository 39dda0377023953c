import { deserialize, serialize } from 'node:v8'

/** How a value stands in a frame. */
export type ValueForm = 'json' | 'structured'

export type WrittenValue =
  | { readonly form: 'json'; readonly text: string; readonly length: number }
  | { readonly form: 'structured'; readonly bytes: Buffer; readonly length: number }

/** Undefined where the value is of a kind that cannot be written down: a function, a class of the system. */
export const writeValue = (value: unknown, plain: boolean): WrittenValue | undefined => {
  try {
    const text = plain ? JSON.stringify(value) : undefined
    if (text !== undefined) return { form: 'json', text, length: Buffer.byteLength(text) }
    const bytes = serialize(value)
    return { form: 'structured', bytes, length: bytes.length }
  } catch {
    return undefined
  }
}

/** Raises whatever bytes raise that are no value. */
export const readValue = (form: ValueForm, bytes: Buffer): unknown => {
  if (form === 'json') return JSON.parse(bytes.toString('utf8'))
  // Byte arrays in the value become views of what is read here; a reply is a small part of a large buffer, which they would keep alive.
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return deserialize(own)
}

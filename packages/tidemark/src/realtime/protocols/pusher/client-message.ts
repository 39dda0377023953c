/** What a client says, as far as it can be read. */
export interface ClientMessage {
  readonly event: string
  readonly channel: unknown
  readonly data: unknown
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Undefined of what is none. */
export const parseMessage = (text: string): ClientMessage | undefined => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(value) || typeof value['event'] !== 'string') return undefined
  return { event: value['event'], channel: value['channel'], data: value['data'] }
}

const asObject = (value: unknown): Readonly<Record<string, unknown>> | undefined => {
  if (isObject(value)) return value
  if (typeof value !== 'string') return undefined
  try {
    const parsed: unknown = JSON.parse(value)
    return isObject(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

/** The data of an event of the protocol: an object, or one as JSON in a text. */
export const fieldsOf = (data: unknown): Readonly<Record<string, unknown>> => asObject(data) ?? {}

/** An object that came as JSON in a text, because it was signed so. */
export const parseSigned = (text: string): Readonly<Record<string, unknown>> | undefined => asObject(text)

/** Ids are texts; some sign numbers. */
export const idOf = (value: unknown): string | undefined => {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value)
  return typeof value === 'string' && value !== '' && value.length <= 200 ? value : undefined
}

import { SignJWT } from 'jose'

export interface Answer<T> {
  readonly status: number
  readonly body: T
}

interface Asked {
  readonly body?: unknown
  readonly role?: string
  readonly sub?: string
}

/** Asks the service over HTTP, as `service_role` unless it is told otherwise. */
export const createServiceClient = (secret: string, url: () => string) => {
  const tokenOf = (role: string, sub?: string): Promise<string> => {
    const token = new SignJWT({ role }).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('1h')
    return (sub === undefined ? token : token.setSubject(sub)).sign(new TextEncoder().encode(secret))
  }
  const ask = async <T>(method: string, path: string, { body, role = 'service_role', sub }: Asked = {}): Promise<Answer<T>> => {
    const response = await fetch(`${url()}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${await tokenOf(role, sub)}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as T }
  }
  return { tokenOf, ask }
}

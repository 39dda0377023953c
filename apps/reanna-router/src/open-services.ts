/** The other systems that the app calls, each behind a breaker and a limit that all its processes share. */
import type { BreakerRules, Resilience } from 'tidemark'
import { createHttpService, type HttpService } from 'tidemark/app'

/** Another system and the secret that it wants. */
export interface ServicePlace {
  readonly url: string
  readonly key?: string | undefined
}

export interface ServicePlaces {
  /** Google's Routes API, or what speaks like it. */
  readonly routing?: ServicePlace | undefined
  readonly crm?: ServicePlace | undefined
  readonly sms?: ServicePlace | undefined
  readonly voice?: ServicePlace | undefined
}

export type Services = { readonly [Name in keyof ServicePlaces]: HttpService | undefined }

/** What vendors allow: a minute's calls. */
const callsPerMinute = { routing: 600, crm: 600, sms: 300, voice: 60 } as const

/** A tour is not kept waiting for its map for long. */
const timeoutMs = { routing: 4_000, crm: 10_000, sms: 10_000, voice: 10_000 } as const

const bearer = (key: string): Readonly<Record<string, string>> => ({ authorization: `Bearer ${key}` })
const google = (key: string): Readonly<Record<string, string>> => ({ 'x-goog-api-key': key })

export const openServices = (places: ServicePlaces, resilience: Resilience, breaker: Partial<BreakerRules>): Services => {
  const open = (name: keyof typeof callsPerMinute, headersOf = bearer): HttpService | undefined => {
    const place = places[name]
    if (!place) return undefined
    const limit = { limit: callsPerMinute[name], windowMs: 60_000 }
    const guard = resilience.guard(name, { breaker, limit, timeoutMs: timeoutMs[name] })
    return createHttpService({ guard, url: place.url, headers: place.key === undefined ? {} : headersOf(place.key) })
  }
  return { routing: open('routing', google), crm: open('crm'), sms: open('sms'), voice: open('voice') }
}

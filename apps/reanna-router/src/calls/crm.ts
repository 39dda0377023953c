/** The CRM: is told of tours, and asked for what its webhooks only hint at. */
import { CallError, type HttpService } from 'tidemark/app'
import { z } from 'zod'
import type { Tour, Visit } from '../rows.js'

/** Something of a CRM's, by the ids of whoever told of it. */
export interface CrmRef {
  readonly provider: string
  readonly tenant: string
  readonly externalId: string
}

export interface CrmContact {
  readonly firstName?: string | undefined
  readonly lastName?: string | undefined
  readonly email?: string | undefined
  readonly phone?: string | undefined
  readonly source?: string | undefined
  /** The agent whom it was given to. */
  readonly assignedTo?: string | undefined
}

export interface Crm {
  /** Puts the tour there as it is. */
  syncTour(tour: Tour, visits: readonly Visit[], key: string, signal?: AbortSignal): Promise<void>
  /** Null where there is none. */
  fetchContact(ref: CrmRef, signal?: AbortSignal): Promise<CrmContact | null>
  fetchAppointment(ref: CrmRef, signal?: AbortSignal): Promise<{ readonly status: string } | null>
}

const text = z.string().max(500).optional().catch(undefined)
const contact = z.object({ firstName: text, lastName: text, email: text, phone: text, source: text, assignedTo: text })
const appointment = z.object({ status: z.string().max(100) })

const pathOf = (kind: string, { provider, tenant, externalId }: CrmRef): string =>
  `/${kind}/${encodeURIComponent(externalId)}?${new URLSearchParams({ provider, tenant })}`

/** Over HTTP: `PUT /tours/{id}`, `GET /contacts/{id}` and `GET /appointments/{id}`. Raises CallError, TM_RESILIENCE_*. */
export const createHttpCrm = (service: HttpService): Crm => {
  const read = async <T>(path: string, schema: z.ZodType<T>, signal: AbortSignal | undefined): Promise<T | null> => {
    const answer = await service.call({ method: 'GET', path, signal })
    if (answer === null) return null
    const parsed = schema.safeParse(answer)
    if (!parsed.success) throw new CallError('UNREADABLE', `${service.service} answered with something else.`)
    return parsed.data
  }
  return {
    syncTour: async (tour, visits, key, signal) => {
      const { route_data: _route, crm_sync_status: _status, crm_sync_timestamp: _at, crm_sync_error: _error, ...told } = tour
      await service.call({ method: 'PUT', path: `/tours/${tour.id}`, key, signal, body: { ...told, visits } })
    },
    fetchContact: (ref, signal) => read(pathOf('contacts', ref), contact, signal),
    fetchAppointment: (ref, signal) => read(pathOf('appointments', ref), appointment, signal),
  }
}

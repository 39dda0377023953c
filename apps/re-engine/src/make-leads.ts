/** A house's last months as rows: agents, leads, what was said and by whose leave, what happened. The same numbers make the same rows. */
import type { Random } from 'tidemark/testing'
import { brokerages, firstNames, lastNames, propertyTypes, remarks, replies, sources, timelines, towns } from './places.js'
import type { ApprovalStatus, LeadStatus } from './states.js'

type Value = string | number | boolean | null | object
export type Row = Readonly<Record<string, Value>>

export interface HouseRows {
  readonly agents: readonly Row[]
  readonly leads: readonly Row[]
  readonly approvals: readonly Row[]
  readonly events: readonly Row[]
}

/** What is wrong on purpose, as in every house: counted, so that whoever cleans up knows when they are done. */
export interface Flaws {
  unreachable: number
  unassigned: number
  withoutSource: number
  heldByWhoLeft: number
  stuckInSending: number
  overdue: number
}

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** How a lead came to where it is. */
const ways: readonly (readonly LeadStatus[])[] = [
  ['new'],
  ['new', 'contacted'],
  ['new', 'contacted', 'qualified'],
  ['new', 'contacted', 'qualified', 'nurturing'],
  ['new', 'contacted', 'qualified', 'nurturing', 'converted'],
  ['new', 'contacted', 'qualified', 'converted', 'closed'],
  ['new', 'contacted', 'lost'],
  ['new', 'contacted', 'qualified', 'lost', 'closed'],
]

class House {
  readonly agents: Row[] = []
  readonly leads: Row[] = []
  readonly approvals: Row[] = []
  readonly events: Row[] = []
  readonly flaws: Flaws = { unreachable: 0, unassigned: 0, withoutSource: 0, heldByWhoLeft: 0, stuckInSending: 0, overdue: 0 }
  readonly #random: Random
  readonly #untilMs: number
  readonly #phones = new Set<string>()

  constructor(random: Random, untilMs: number) {
    this.#random = random
    this.#untilMs = untilMs
  }

  #id(): string {
    const hex = this.#random.uuidHex()
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
  }

  #time(ms: number): string {
    return new Date(Math.min(ms, this.#untilMs)).toISOString()
  }

  /** Free numbers are few; who gets none has none. */
  #phone(prefix: string, digits: number): string | null {
    const number = prefix + String(this.#random.integer(0, 10 ** digits - 1)).padStart(digits, '0')
    if (this.#phones.has(number)) return null
    this.#phones.add(number)
    return number
  }

  #event(lead: Row, type: string, ms: number, more: Row = {}): void {
    this.events.push({
      ...{ id: this.#id(), lead_id: lead['id']!, agent_id: lead['assigned_agent'] ?? null, approval_id: null, event_type: type },
      ...{ channel: null, direction: 'internal', source: 'system', content: null, data: {}, external_id: null, actor: 'import' },
      ...more,
      occurred_at: this.#time(ms),
    })
  }

  addAgent(place: number): void {
    const random = this.#random
    const town = towns[place % towns.length]!
    const [first, last] = [random.pick(firstNames), random.pick(lastNames)]
    this.agents.push({
      id: this.#id(),
      external_id: `agent${100 + place}`,
      name: `${first} ${last}`,
      email: `agent${100 + place}@example.com`,
      phone: this.#phone(town.phone, town.digits),
      license_number: `${town.province}-${random.integer(10_000, 99_999)}`,
      brokerage: random.pick(brokerages),
      specialties: [random.pick(propertyTypes)],
      timezone: town.timezone,
      max_active_leads: random.pick([30, 50, 80]),
      status: place % 7 === 6 ? 'inactive' : place % 5 === 4 ? 'on_leave' : 'active',
      created_at: this.#time(this.#untilMs - 400 * day + place * day),
    })
  }

  addLead(index: number): void {
    const random = this.#random
    const town = random.pick(towns)
    const createdMs = this.#untilMs - random.integer(0, 180 * 24 * 60) * minute
    const [first, last] = [random.pick(firstNames), random.pick(lastNames)]
    const isUnreachable = random.chance(0.03)
    const agent = random.chance(0.04) ? null : random.pick(this.agents)
    const way = random.pick(ways)
    const isBlocked = random.chance(0.05)
    const lead: Record<string, Value> = {
      id: this.#id(),
      first_name: first,
      last_name: last,
      email:
        isUnreachable || random.chance(0.08)
          ? null
          : `lead${index}@${random.pick(['example.com', 'example.net', 'example.org'])}`,
      phone: isUnreachable || random.chance(0.2) ? null : this.#phone(town.phone, town.digits),
      property_address: random.chance(0.7) ? `${random.integer(1, 320)} ${random.pick(town.streets)}` : null,
      // People write with their thumbs.
      city: random.chance(0.03) ? `${town.city.toLowerCase()} ` : town.city,
      province: town.province,
      postal_code: random.chance(0.05) ? null : random.pick(town.postalCodes),
      property_type: random.pick(propertyTypes),
      price_range: random.pick(town.prices),
      timeline: random.pick(timelines),
      source: random.chance(0.05) ? null : random.pick(sources),
      assigned_agent: agent?.['id'] ?? null,
      metadata: random.chance(0.2)
        ? { utm_campaign: random.pick(['spring', 'dry-season', 'été']), score: random.integer(1, 100) }
        : {},
      do_not_contact: isBlocked,
      contact_block_reason: isBlocked ? random.pick(['dnc', 'bounced', 'unsubscribed']) : null,
      created_at: this.#time(createdMs),
    }
    const endMs = this.#walk(lead, way, createdMs)
    this.leads.push({ ...lead, updated_at: this.#time(endMs) })
    this.#count(lead, agent)
    if (agent) this.#talk(lead, createdMs, isBlocked)
  }

  #count({ email, phone, source, assigned_agent: agentId, status }: Row, agent: Row | null): void {
    if (email === null && phone === null) this.flaws.unreachable += 1
    if (source === null) this.flaws.withoutSource += 1
    if (agentId === null) this.flaws.unassigned += 1
    const isOpen = ['new', 'contacted', 'qualified', 'nurturing'].includes(String(status))
    if (isOpen && agent?.['status'] === 'inactive') this.flaws.heldByWhoLeft += 1
  }

  #walk(lead: Record<string, Value>, way: readonly LeadStatus[], createdMs: number): number {
    const random = this.#random
    let [at, from] = [createdMs, 'new' as LeadStatus]
    this.#event(lead, 'lead_created', at, { data: { status: 'new', source: lead['source'] ?? null } })
    lead['converted_at'] = null
    for (const to of way.slice(1)) {
      at += random.integer(1, 12 * 24) * hour
      if (at > this.#untilMs) break
      this.#event(lead, 'status_changed', at, { data: { from, to } })
      if (to === 'converted') lead['converted_at'] = this.#time(at)
      from = to
    }
    lead['status'] = from
    lead['status_changed_at'] = this.#time(at)
    lead['last_contacted_at'] = from === 'new' ? null : this.#time(at)
    return Math.min(at, this.#untilMs)
  }

  /** What was written to them, and what they said. */
  #talk(lead: Row, createdMs: number, isBlocked: boolean): void {
    const random = this.#random
    const channel = lead['email'] !== null ? 'email' : lead['phone'] !== null ? 'sms' : undefined
    const address = lead['email'] ?? lead['phone']
    if (channel === undefined || address == null || random.chance(0.25)) return
    const madeMs = createdMs + random.integer(5, 48 * 60) * minute
    if (madeMs > this.#untilMs) return
    const status: ApprovalStatus = isBlocked
      ? 'cancelled'
      : random.pick(['sent', 'sent', 'sent', 'rejected', 'pending', 'draft', 'failed', 'sending'])
    const decidedMs = madeMs + random.integer(2, 600) * minute
    const isApproved = ['sent', 'failed', 'sending'].includes(status)
    const isSubmitted = isApproved || status === 'pending' || status === 'rejected'
    const isOverdue = status === 'pending' && random.chance(0.2)
    if (status === 'sending') this.flaws.stuckInSending += 1
    if (isOverdue) this.flaws.overdue += 1
    const approval: Row = {
      ...{
        id: this.#id(),
        lead_id: lead['id']!,
        agent_id: lead['assigned_agent']!,
        channel,
        action_type: 'send',
        draft_to: address,
      },
      draft_subject: channel === 'email' ? `About ${String(lead['property_address'] ?? lead['city'])}` : null,
      draft_text: random.pick(remarks),
      status,
      ai_score: random.chance(0.5) ? Math.round(random.fraction() * 100) / 100 : null,
      created_by: 'import',
      submitted_at: isSubmitted ? this.#time(madeMs + minute) : null,
      approved_by: isApproved ? 'boss' : null,
      approved_at: isApproved ? this.#time(decidedMs) : null,
      rejected_by: status === 'rejected' ? 'boss' : null,
      rejected_at: status === 'rejected' ? this.#time(decidedMs) : null,
      rejection_reason: status === 'rejected' ? 'Too pushy.' : null,
      send_requested_at: isApproved ? this.#time(decidedMs) : null,
      sent_at: status === 'sent' ? this.#time(decidedMs + minute) : null,
      // Whoever held it died; nobody took it over yet.
      claimed_until: status === 'sending' ? this.#time(decidedMs + minute) : null,
      retry_count: status === 'failed' ? 5 : 0,
      last_error: status === 'failed' ? 'send-email answered with 550.' : null,
      expires_at: isOverdue ? this.#time(madeMs + day) : null,
      created_at: this.#time(madeMs),
    }
    this.approvals.push(approval)
    this.#event(lead, 'draft_created', madeMs, { approval_id: approval['id']!, channel })
    if (status !== 'sent') return
    const sent = {
      approval_id: approval['id']!,
      channel,
      direction: 'outbound',
      content: approval['draft_text']!,
      source: 'sender',
    }
    this.#event(lead, 'sent', decidedMs + minute, { ...sent, external_id: `import-${String(approval['id'])}` })
    if (!random.chance(0.4)) return
    const told = { channel, direction: 'inbound', content: random.pick(replies), source: 'carrier', data: { from: address } }
    this.#event(lead, 'message_received', decidedMs + random.integer(10, 2_000) * minute, {
      ...told,
      external_id: `reply-${String(approval['id'])}`,
    })
  }
}

export const makeHouse = (
  random: Random,
  { agents, leads, untilMs }: { readonly agents: number; readonly leads: number; readonly untilMs: number },
): HouseRows & { readonly flaws: Flaws } => {
  const house = new House(random, untilMs)
  for (let place = 0; place < agents; place += 1) house.addAgent(place)
  for (let index = 0; index < leads; index += 1) house.addLead(index)
  return house
}

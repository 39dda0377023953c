import type Database from 'better-sqlite3'
import type { Row } from './make-tour.js'
import { pythonJson } from './python-values.js'
import { type SampleCounts, writeRows } from './write-rows.js'

/** Ids that are easy to read in a report: 32 hex digits that tell the table (a tours, b visits, c tasks, d feedback) and the row. */
const id = (kind: 'a' | 'b' | 'c' | 'd', number: number): string =>
  `${kind.repeat(8)}000040008000${String(number).padStart(12, '0')}`

const created = { created_at: '2025-11-20T08:15:30.123456', updated_at: '2025-11-21T09:00:00' }

const tour = (number: number, agent: string, date: string, status: string, route: string | null): Row => ({
  id: id('a', number),
  agent_id: agent,
  start_time: `${date}T09:00:00`,
  end_time: `${date}T17:00:00.500000`,
  status,
  route_data: route,
  ...created,
})

const visit = (number: number, tourId: string, date: string, hour: number, status: string, address: string): Row => {
  const at = (minutes: string) => `${date}T${String(hour).padStart(2, '0')}:${minutes}`
  const been = status === 'completed'
  return {
    id: id('b', number),
    tour_id: tourId,
    address,
    property_id: `MLS-${400_100 + number}`,
    scheduled_arrival: at('00:00'),
    scheduled_departure: at('40:00'),
    actual_arrival: been ? at('03:12.004500') : null,
    actual_departure: been ? at('44:59Z') : null,
    status,
    sellside_agent_id: `sell-${number}`,
    sellside_agent_name: number === 2 ? "Siobhán O'Neill" : 'Wei Chen',
    contact_method: number % 2 ? 'sms' : 'phone',
    confirmation_status: 'confirmed',
    constraint_indicator: number === 3 ? 'fixed_time' : null,
    square_footage: number === 6 ? null : 900 + number * 111,
    video_url: number === 1 ? 'https://video.example.com/v/1' : null,
    ...created,
  }
}

const task = (number: number, visitNumber: number, type: string, status: string): Row => ({
  id: id('c', number),
  visit_id: id('b', visitNumber),
  task_type: type,
  status,
  scheduled_time: '2025-11-24T09:00:00',
  completed_time: status === 'completed' ? '2025-11-24T09:45:00.000001' : null,
  shipment_id: number === 4 ? 'shp_1' : null,
  ...created,
})

const feedback = (number: number, taskNumber: number, source: string, raw: string | null, sent: 0 | 1): Row => ({
  id: id('d', number),
  task_id: id('c', taskNumber),
  raw_feedback: raw,
  processed_feedback: sent ? 'Positive overall.' : null,
  feedback_source: source,
  timestamp: '2025-11-24T10:00:00',
  sent_to_agent: sent,
  ...created,
})

const route = pythonJson({ strategy: 'optimize', optimized: true, legs: [{ order: 0, minutes: 12, via: 'Smith Street' }] })

const rows = {
  tour: [
    tour(1, 'agent123', '2025-11-24', 'completed', route),
    tour(2, 'agent123', '2025-11-25', 'scheduled', "{'strategy': 'optimize', 'legs': []}"),
    tour(3, 'agent207', '2025-11-26', 'in_progress', null),
  ],
  visits: [
    visit(1, id('a', 1), '2025-11-24', 9, 'completed', '12 Mitchell Street, Darwin City NT 0800'),
    visit(2, id('a', 1), '2025-11-24', 11, 'completed', '4/88 Smith Street, Darwin City NT 0800'),
    visit(3, id('a', 1), '2025-11-24', 13, 'skipped', '7 East Point Road, Fannie Bay NT 0820'),
    visit(4, id('a', 2), '2025-11-25', 9, 'scheduled', '31 Progress Drive, Nightcliff NT 0810'),
    visit(5, id('a', 2), '2025-11-25', 11, 'scheduled', '150 rue Saint-Denis, Montréal, QC H2Y 1C6'),
    visit(6, id('a', 3), '2025-11-26', 9, 'scheduled', '1021 Robson Street, Vancouver, BC V6B 1A1'),
    // Its tour was deleted; nothing hangs on it.
    visit(7, id('a', 9), '2025-11-26', 15, 'scheduled', '2 Bagot Road, Rapid Creek NT 0810'),
  ],
  tasks: [
    task(1, 1, 'property_tour', 'completed'),
    task(2, 1, 'feedback_collection', 'completed'),
    task(3, 1, 'listing_agent_notification', 'completed'),
    task(4, 2, 'property_tour', 'completed'),
    task(5, 2, 'feedback_collection', 'completed'),
    task(6, 2, 'buyer_followup', 'failed'),
    task(7, 3, 'property_tour', 'cancelled'),
    task(8, 4, 'property_tour', 'scheduled'),
    task(9, 4, 'buyer_followup', 'scheduled'),
    task(10, 5, 'property_tour', 'scheduled'),
    task(11, 6, 'property_tour', 'in_progress'),
    task(12, 6, 'feedback_collection', 'scheduled'),
  ],
  feedback: [
    feedback(1, 2, 'sms', 'Loved the kitchen, worried about the traffic.', 1),
    feedback(2, 2, 'voice', null, 0),
    feedback(3, 5, 'app', 'Très intéressés, deuxième visite samedi 🙂', 1),
    feedback(4, 5, 'email', 'No parking!!\nAsking about the fees.', 0),
    feedback(5, 6, 'manual', '', 0),
  ],
}

/** Three tours with one flaw of each kind: an orphan visit, a route that is not JSON, a feedback without text, naive times. */
export const writeAcceptanceSample = (database: Database.Database): SampleCounts => {
  const [first, ...others] = rows.tour as [Row, ...Row[]]
  const empty = { visits: [], tasks: [], feedback: [] }
  return writeRows(database, [{ ...rows, tour: first }, ...others.map((other) => ({ ...empty, tour: other }))])
}

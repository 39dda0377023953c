import type { Random } from 'tidemark/testing'
import { agents, remarks, sellsideAgents, towns } from './places.js'
import { isoTime, pythonJson, pythonRepr } from './python-values.js'

type Value = string | number | null
export type Row = Readonly<Record<string, Value>>

/** One tour with everything that hangs on it, as rows of the SQLite file. */
export interface TourRows {
  readonly tour: Row
  readonly visits: readonly Row[]
  readonly tasks: readonly Row[]
  readonly feedback: readonly Row[]
}

/** What is wrong with one tour on purpose. */
export interface TourFlaws {
  /** `repr`: Python's writing of a dictionary · `cut`: JSON that breaks off. */
  readonly route?: 'repr' | 'cut'
  /** One feedback has no text. */
  readonly silent?: boolean
  /** One more visit, with a task and a feedback, whose tour does not exist. */
  readonly orphan?: boolean
}

const minute = 60_000
const day = 24 * 60 * minute

type TourStatus = 'scheduled' | 'in_progress' | 'completed' | 'cancelled'
type VisitStatus = 'scheduled' | 'arrived' | 'completed' | 'skipped' | 'cancelled'

/** Writes times as the releases of the application did over the years: plain, with microseconds, now and then with a Z. */
const createStamp =
  (random: Random) =>
  (ms: number): string => {
    const microseconds = random.chance(0.4) ? random.integer(1, 999_999) : 0
    return isoTime(ms, microseconds, random.chance(0.06) ? 'Z' : '')
  }

const visitStatus = (random: Random, tour: TourStatus, index: number): VisitStatus => {
  if (tour === 'completed') return random.chance(0.85) ? 'completed' : random.pick(['skipped', 'cancelled'])
  if (tour === 'in_progress') return index === 0 ? 'completed' : index === 1 ? 'arrived' : 'scheduled'
  return tour === 'cancelled' ? 'cancelled' : 'scheduled'
}

const addressOf = (random: Random): string => {
  const town = random.pick(towns)
  const unit = random.chance(0.3) ? `${random.integer(1, 40)}/` : ''
  return `${unit}${random.integer(1, 320)} ${random.pick(town.streets)}, ${random.pick(town.suffixes)}`
}

const routeOf = (random: Random, stops: number, flaw: TourFlaws['route']): string | null => {
  if (!flaw && random.chance(0.1)) return null
  const route = {
    strategy: random.pick(['optimize', 'furthest', 'closest']),
    optimized: random.chance(0.9),
    total_distance_km: Math.round(random.fraction() * 80_000) / 1000,
    legs: Array.from({ length: stops }, (_, order) => ({
      order,
      minutes: random.integer(4, 45),
      via: random.pick(random.pick(towns).streets),
    })),
    error: null,
  }
  if (flaw === 'repr') return pythonRepr(route)
  const json = pythonJson(route)
  return flaw === 'cut' ? json.slice(0, Math.floor(json.length * 0.6)) : json
}

/** One tour in the making. */
interface Draft {
  readonly random: Random
  readonly stamp: (ms: number) => string
  readonly status: TourStatus
  readonly startMs: number
  readonly createdMs: number
  readonly visits: Row[]
  readonly tasks: Row[]
  readonly feedback: Row[]
}

const addFeedback = (
  { random, stamp, feedback }: Draft,
  taskId: string,
  atMs: number,
  processed: boolean,
  text: string | null,
) => {
  feedback.push({
    id: random.uuidHex(),
    task_id: taskId,
    raw_feedback: text,
    processed_feedback: processed && text !== null ? `Summary: ${text.slice(0, 40)}` : null,
    feedback_source: random.pick(['sms', 'voice', 'app', 'email', 'manual']),
    timestamp: stamp(atMs),
    sent_to_agent: processed ? random.pick([0, 1, 1]) : random.pick([0, 0, null]),
    created_at: stamp(atMs),
    updated_at: stamp(atMs + minute),
  })
}

const addTask = (
  { random, stamp, tasks, createdMs }: Draft,
  visitId: string,
  type: string,
  status: string,
  atMs: number,
): string => {
  const id = random.uuidHex()
  const doneMs = status === 'completed' ? atMs + random.integer(5, 50) * minute : null
  tasks.push({
    id,
    visit_id: visitId,
    task_type: type,
    status,
    scheduled_time: stamp(atMs),
    completed_time: doneMs === null ? null : stamp(doneMs),
    shipment_id: random.chance(0.2) ? `shp_${random.integer(10_000, 99_999)}` : null,
    created_at: stamp(createdMs),
    updated_at: stamp(doneMs ?? createdMs),
  })
  return id
}

/** When a stop is planned and when it was. */
interface StopTimes {
  readonly arrivalMs: number
  readonly departureMs: number
  readonly arrivedMs: number | null
  readonly leftMs: number | null
}

const timesOf = ({ random, startMs }: Draft, index: number, status: VisitStatus): StopTimes => {
  const arrivalMs = startMs + index * 65 * minute
  const departureMs = arrivalMs + random.integer(20, 50) * minute
  const arrivedMs = status === 'arrived' || status === 'completed' ? arrivalMs + random.integer(0, 15) * minute : null
  const leftMs = status === 'completed' && arrivedMs !== null ? arrivedMs + random.integer(15, 60) * minute : null
  return { arrivalMs, departureMs, arrivedMs, leftMs }
}

const addVisit = ({ random, stamp, visits, createdMs }: Draft, tourId: string, status: VisitStatus, times: StopTimes): string => {
  const { arrivalMs, departureMs, arrivedMs, leftMs } = times
  const id = random.uuidHex()
  visits.push({
    id,
    tour_id: tourId,
    address: addressOf(random),
    property_id: random.chance(0.8) ? `MLS-${random.integer(100_000, 999_999)}` : null,
    scheduled_arrival: stamp(arrivalMs),
    scheduled_departure: stamp(departureMs),
    actual_arrival: arrivedMs === null ? null : stamp(arrivedMs),
    actual_departure: leftMs === null ? null : stamp(leftMs),
    status,
    sellside_agent_id: random.chance(0.7) ? `sell-${random.integer(1, 90)}` : null,
    sellside_agent_name: random.chance(0.7) ? random.pick(sellsideAgents) : null,
    contact_method: random.pick(['sms', 'phone', 'email', null]),
    confirmation_status: random.pick(['confirmed', 'pending', 'declined', null]),
    constraint_indicator: random.pick(['fixed_time', 'flexible', null]),
    square_footage: random.chance(0.8) ? random.integer(450, 5200) : null,
    video_url: random.chance(0.15) ? `https://video.example.com/v/${random.integer(1000, 9999)}` : null,
    created_at: stamp(createdMs),
    updated_at: stamp(leftMs ?? arrivedMs ?? createdMs),
  })
  return id
}

const taskStatusOf: Readonly<Record<VisitStatus, string>> = {
  scheduled: 'scheduled',
  arrived: 'in_progress',
  completed: 'completed',
  skipped: 'cancelled',
  cancelled: 'cancelled',
}

/** A visit with its tasks, and what was heard where somebody asked. Gives the last task. */
const addStop = (draft: Draft, tourId: string, index: number): string => {
  const { random, status: tour } = draft
  const status = visitStatus(random, tour, index)
  const times = timesOf(draft, index, status)
  const visitId = addVisit(draft, tourId, status, times)
  const taskId = addTask(draft, visitId, 'property_tour', taskStatusOf[status], times.arrivedMs ?? times.arrivalMs)
  if (status !== 'completed') return taskId
  const asked = random.pick(['scheduled', 'completed', 'completed', 'failed'])
  const askedId = addTask(draft, visitId, 'feedback_collection', asked, times.departureMs)
  if (asked === 'completed') {
    const heardMs = (times.leftMs ?? times.departureMs) + 30 * minute
    addFeedback(draft, askedId, heardMs, random.chance(0.7), random.pick(remarks))
  }
  return askedId
}

/** When tours begin. */
export interface Span {
  readonly firstDayMs: number
  readonly days: number
}

/** Makes one tour. The same stream of random numbers and the same arguments give the same rows. */
export const makeTour = (random: Random, { firstDayMs, days }: Span, flaws: TourFlaws = {}): TourRows => {
  const stamp = createStamp(random)
  const startMs = firstDayMs + random.integer(0, days - 1) * day + (8 * 60 + random.integer(0, 12) * 15) * minute
  const createdMs = startMs - random.integer(1, 20) * day - random.integer(0, 86_399) * 1000
  const status: TourStatus = random.pick(['scheduled', 'in_progress', 'completed', 'completed', 'completed', 'cancelled'])
  const draft: Draft = { random, stamp, status, startMs, createdMs, visits: [], tasks: [], feedback: [] }
  const tourId = random.uuidHex()
  const stops = random.integer(2, 6)
  let lastTask = ''
  for (let index = 0; index < stops; index += 1) lastTask = addStop(draft, tourId, index)
  if (flaws.silent) addFeedback(draft, lastTask, startMs, false, null)
  if (flaws.orphan) addFeedback(draft, addStop(draft, random.uuidHex(), stops), startMs, false, random.pick(remarks))
  const tour: Row = {
    id: tourId,
    agent_id: random.pick(agents),
    start_time: stamp(startMs),
    end_time: stamp(startMs + (stops + 1) * 70 * minute),
    status,
    route_data: routeOf(random, stops, flaws.route),
    created_at: stamp(createdMs),
    updated_at: stamp(createdMs + minute),
  }
  return { tour, visits: draft.visits, tasks: draft.tasks, feedback: draft.feedback }
}

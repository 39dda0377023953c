import { CalendarDays, ChevronLeft, ChevronRight, RotateCw } from 'lucide-react'
import type { TourStop, TourView } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { count, timeOfDay } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button, IconButton } from '../../parts/button.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Figure, Figures } from '../../parts/figures.tsx'
import { FilterField } from '../../parts/filter-field.tsx'
import { Meter } from '../../parts/meter.tsx'
import { StateCounts } from '../../parts/state-counts.tsx'
import { Status } from '../../parts/status.tsx'
import { Absent } from './absent.tsx'
import { ActButton } from './act-button.tsx'
import { kindOf } from './kinds.ts'
import { LivePanel } from './live-panel.tsx'
import { useSystemsFilters } from './systems-filters.ts'
import { useLiveSystem } from './use-live-system.ts'

/** `2026-11-22`, where the reader is. */
export const dayOf = (at: Date): string =>
  `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, '0')}-${String(at.getDate()).padStart(2, '0')}`

/** From its first moment to the next day's, where the reader is: a day of 23 or 25 hours is a day, too. */
export const spanOf = (day: string): { readonly from: string; readonly to: string } => {
  const [year = 1970, month = 1, date = 1] = day.split('-').map(Number)
  return { from: new Date(year, month - 1, date).toISOString(), to: new Date(year, month - 1, date + 1).toISOString() }
}

const moved = (day: string, by: number): string => {
  const [year = 1970, month = 1, date = 1] = day.split('-').map(Number)
  return dayOf(new Date(year, month - 1, date + by))
}

const hour = (at: string): string => timeOfDay(at).slice(0, 5)

const Stop = ({ stop }: { readonly stop: TourStop }) => (
  <li className="stop">
    <time dateTime={stop.arrival}>{hour(stop.arrival)}</time>
    <div>
      <strong>{stop.address}</strong>
      <div className="row dim">
        <Status kind={kindOf(stop.status)}>{stop.status}</Status>
        {stop.confirmation !== null && <span>{stop.confirmation}</span>}
        {stop.arrivedAt !== null && <span>arrived {hour(stop.arrivedAt)}</span>}
        {stop.tasks > 0 && (
          <span>
            {stop.tasksDone} of {stop.tasks} tasks
          </span>
        )}
      </div>
    </div>
  </li>
)

const Tour = ({ tour }: { readonly tour: TourView }) => {
  const done = tour.stops.filter(({ status }) => status === 'completed').length
  return (
    <li className="card">
      <header className="row">
        <h3>{tour.agent}</h3>
        <span className="dim">
          {hour(tour.start)} to {hour(tour.end)}
        </span>
        <Status kind={kindOf(tour.status)}>{tour.status.replace('_', ' ')}</Status>
      </header>
      <Meter
        label={`Stops of ${tour.agent} that are done`}
        share={tour.stops.length === 0 ? 0 : done / tour.stops.length}
        kind="ok"
      />
      <ol>
        {tour.stops.map((stop) => (
          <Stop key={stop.id} stop={stop} />
        ))}
      </ol>
      <footer className="dim">
        <Status kind={kindOf(tour.crm)}>CRM: {tour.crm.replace('_', ' ')}</Status>
        {tour.crmError !== null && <p>{tour.crmError}</p>}
        {(tour.crm === 'failed' || tour.crm === 'not_synced') && (
          <ActButton
            icon={RotateCw}
            label={`Tell the CRM of the tour of ${tour.agent}`}
            action={{ action: 'sync-tour', id: tour.id }}
            done="The CRM is told as soon as it answers."
          >
            Tell the CRM
          </ActButton>
        )}
      </footer>
    </li>
  )
}

const DayField = ({ day }: { readonly day: string }) => {
  const [, setFilters] = useSystemsFilters()
  return (
    <div className="panel-line row day">
      <IconButton icon={ChevronLeft} label="The day before" onClick={() => setFilters({ day: moved(day, -1) })} />
      <FilterField label="Day" type="date" value={day} onChange={(next) => setFilters({ day: next })} />
      <IconButton icon={ChevronRight} label="The day after" onClick={() => setFilters({ day: moved(day, 1) })} />
      <Button onClick={() => setFilters({ day: undefined })}>Today</Button>
    </div>
  )
}

/** The tours of a day, side by side. */
export const Tours = () => {
  const [filters] = useSystemsFilters()
  const day = filters.day ?? dayOf(new Date())
  const query = spanOf(day)
  const answer = useAnswer('GET /systems/tours', { query }, { everyMs: 5_000 })
  const isListening = useLiveSystem('tours', answer.data)
  return (
    <Answered of={answer} height={320}>
      {({ isPresent, tours, states, crm, untold }) =>
        isPresent ? (
          <div className="stack">
            <Figures label="Tours">
              <Figure label="Tours of the day" value={count(tours.length)} />
              <Figure label="Stops of the day" value={count(tours.reduce((sum, { stops }) => sum + stops.length, 0))} />
              <Figure label="Not in the CRM" value={count(crm['failed'] ?? 0)}>
                <Status kind={crm['failed'] ? 'bad' : 'ok'}>{crm['failed'] ? 'failed to sync' : 'none failed'}</Status>
              </Figure>
              <Figure label="Feedback not told yet" value={count(untold)} />
            </Figures>
            <LivePanel
              title="Day board"
              isListening={isListening}
              actions={<CopyAs path="GET /systems/tours" input={{ query }} />}
            >
              <DayField day={day} />
              {tours.length === 0 ? (
                <Empty title="No tour begins on this day" icon={CalendarDays} act="Choose another day above.">
                  <StateCounts label="Tours of all days" counts={states} kindOf={kindOf} />
                </Empty>
              ) : (
                <ul className="board">
                  {tours.map((tour) => (
                    <Tour key={tour.id} tour={tour} />
                  ))}
                </ul>
              )}
            </LivePanel>
          </div>
        ) : (
          <Absent
            title="REanna Router"
            folder="reanna-router"
            start="DATABASE_URL=$(npx tidemark db url --role app) JWT_SECRET=… npm start -w apps/reanna-router"
          />
        )
      }
    </Answered>
  )
}

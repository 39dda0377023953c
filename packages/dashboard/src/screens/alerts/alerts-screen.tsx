import { BellOff, BellRing, Check, CheckCheck, Send } from 'lucide-react'
import { useState } from 'react'
import type { AlertsReport, AlertView, SilenceView } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAction, useAnswer } from '../../api/use-answer.ts'
import { count, counted, duration, shellOptions, shellWord } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button } from '../../parts/button.tsx'
import { ConfirmDialog } from '../../parts/confirm-dialog.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { Empty } from '../../parts/empty.tsx'
import { ErrorNote } from '../../parts/error-note.tsx'
import { SelectField, TextField } from '../../parts/field.tsx'
import { FilterField } from '../../parts/filter-field.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { Status, type StatusKind } from '../../parts/status.tsx'
import { type Tab, Tabs } from '../../parts/tabs.tsx'
import { textOf, useFilters, wordOf } from '../../shell/filters.ts'
import { useSay } from '../../shell/say.tsx'
import { Rules } from './rules.tsx'

const tabs = ['alerts', 'silences', 'rules', 'channels'] as const
const statuses = ['open', 'active', 'acknowledged', 'resolved', 'all'] as const
const forms = ['none', 'silence'] as const
const silenceTimes = ['1h', '4h', '1d', '1w'] as const

const spans: Readonly<Record<(typeof silenceTimes)[number], { readonly name: string; readonly ms: number }>> = {
  '1h': { name: '1 hour', ms: 3_600_000 },
  '4h': { name: '4 hours', ms: 14_400_000 },
  '1d': { name: '1 day', ms: 86_400_000 },
  '1w': { name: '1 week', ms: 604_800_000 },
}

const read = (search: Readonly<Record<string, unknown>>) => ({
  tab: wordOf(search['tab'], tabs),
  status: wordOf(search['status'], statuses),
  id: textOf(search['id']),
  /** What is being asked for: the form, and what a silence would fit and how long it would hold. */
  form: wordOf(search['form'], forms),
  fits: textOf(search['fits']),
  for: wordOf(search['for'], silenceTimes),
})

const noForm = { form: undefined, fits: undefined, for: undefined } as const

const severities: Readonly<Record<string, StatusKind>> = { info: 'info', warning: 'warn', error: 'bad', critical: 'bad' }
const states: Readonly<Record<string, StatusKind>> = { active: 'bad', acknowledged: 'warn', resolved: 'ok' }

const columns: readonly Column<AlertView>[] = [
  {
    name: 'severity',
    title: 'Severity',
    width: '110px',
    cell: ({ severity }) => <Status kind={severities[severity] ?? 'info'}>{severity}</Status>,
  },
  { name: 'type', title: 'Alert', width: 'minmax(150px, 1fr)', cell: ({ alert_type }) => <strong>{alert_type}</strong> },
  {
    name: 'message',
    title: 'Message',
    width: 'minmax(240px, 3fr)',
    cell: ({ message }) => <span title={message}>{message}</span>,
  },
  {
    name: 'status',
    title: 'State',
    width: '140px',
    cell: ({ status }) => <Status kind={states[status] ?? 'idle'}>{status}</Status>,
  },
  { name: 'occurrences', title: 'Times', width: '70px', align: 'end', cell: ({ occurrences }) => count(occurrences) },
  { name: 'since', title: 'Since', width: '120px', cell: ({ timestamp }) => <Since at={timestamp} /> },
]

/** Opened for an alert, or from nothing. */
const SilenceDialog = () => {
  const say = useSay()
  const silence = useAction('POST /alerts/silence')
  const [{ fits = '', for: span }, setFilters] = useFilters(read)
  const [comment, setComment] = useState('')
  const matchers = fits
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
  const close = (): void => setFilters(noForm)
  const body = { matchers, comment, forMs: spans[span].ms }
  const confirm = (): void =>
    silence.mutate(
      { body },
      {
        onSuccess: () => {
          close()
          say(`Silenced for ${duration(body.forMs)}.`)
        },
      },
    )
  return (
    <ConfirmDialog
      title="Silence"
      description="Alerts that fit are still raised and shown here; nobody is told of them meanwhile."
      verb="Silence"
      isOpen
      isBusy={silence.isPending}
      error={silence.error}
      isDisabled={matchers.length === 0}
      copyAs={
        <CopyAs
          path="POST /alerts/silence"
          input={{ body }}
          cli={`npx tidemark alerts silence ${matchers.map(shellWord).join(' ')}${shellOptions({ for: `${body.forMs / 60_000}m`, comment: comment || undefined })}`}
        />
      }
      onConfirm={confirm}
      onClose={close}
    >
      <FilterField
        label="What fits"
        hint="label=value, separated by commas; also !=, =~ and !~"
        value={fits}
        onChange={(next) => setFilters({ fits: next })}
      />
      <SelectField
        label="For"
        options={silenceTimes.map((time) => [time, spans[time].name] as const)}
        value={span}
        onChange={(event) => setFilters({ for: wordOf(event.target.value, silenceTimes) })}
      />
      <TextField
        label="Comment"
        placeholder="Why, for whoever finds it"
        value={comment}
        onChange={(event) => setComment(event.target.value)}
      />
    </ConfirmDialog>
  )
}

const AlertDialog = ({
  alert,
  onClose,
  onSilence,
}: {
  readonly alert: AlertView
  readonly onClose: () => void
  readonly onSilence: () => void
}) => {
  const may = useMay('operator')
  const ack = useAction('POST /alerts/ack')
  const resolve = useAction('POST /alerts/resolve')
  const body = { id: alert.id }
  const error = ack.error ?? resolve.error
  return (
    <Dialog
      title={alert.alert_type}
      description={alert.message}
      isOpen
      isWide
      onClose={onClose}
      actions={
        <>
          <CopyAs path="POST /alerts/ack" input={{ body }} cli={`npx tidemark alerts ack ${alert.id}`} />
          <Button icon={BellOff} disabled={!may} onClick={onSilence}>
            Silence…
          </Button>
          {alert.status !== 'resolved' && (
            <Button icon={CheckCheck} disabled={!may} isBusy={resolve.isPending} onClick={() => resolve.mutate({ body })}>
              Resolve
            </Button>
          )}
          {alert.status === 'active' && (
            <Button kind="primary" icon={Check} disabled={!may} isBusy={ack.isPending} onClick={() => ack.mutate({ body })}>
              Acknowledge
            </Button>
          )}
        </>
      }
    >
      {error && <ErrorNote error={error} />}
      <dl className="pairs">
        <dt>State</dt>
        <dd>
          <Status kind={states[alert.status] ?? 'idle'}>{alert.status}</Status>
        </dd>
        <dt>About</dt>
        <dd>
          {alert.entity_type} <code>{alert.entity_id}</code>
        </dd>
        <dt>Since</dt>
        <dd>
          <Since at={alert.timestamp} />, {counted(alert.occurrences, 'time')}, last <Since at={alert.last_seen_at} />
        </dd>
        {alert.acknowledged_by !== null && (
          <>
            <dt>Acknowledged by</dt>
            <dd>{alert.acknowledged_by}</dd>
          </>
        )}
        {Object.entries(alert.labels).map(([label, value]) => (
          <div key={label} style={{ display: 'contents' }}>
            <dt>{label}</dt>
            <dd>
              <code>{value}</code>
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}

const AlertsTable = ({ report }: { readonly report: AlertsReport }) => {
  const [filters, setFilters] = useFilters(read)
  const alert = report.alerts.find(({ id }) => id === filters.id)
  const close = (): void => setFilters({ id: undefined })
  return (
    <>
      <div className="panel-line row">
        <SelectField
          label="Show"
          value={filters.status}
          options={statuses.map((status) => [status, status] as const)}
          onChange={(event) => setFilters({ status: wordOf(event.target.value, statuses) })}
        />
      </div>
      <DataTable
        label="Alerts"
        columns={columns}
        rows={report.alerts}
        rowKey={({ id }) => id}
        onOpen={({ id }) => setFilters({ id })}
        openKey={filters.id}
        empty={
          <Empty
            title={filters.status === 'open' ? 'No alert is open' : 'There is no such alert'}
            icon={BellRing}
            command="npx tidemark alerts list --status all"
          >
            <p>
              Rules look every two seconds; what they find, and what applications raise, is shown here and told by the channels.
            </p>
          </Empty>
        }
      />
      {alert && (
        <AlertDialog
          alert={alert}
          onClose={close}
          onSilence={() => setFilters({ id: undefined, form: 'silence', fits: `alert_type=${alert.alert_type}` })}
        />
      )}
    </>
  )
}

const Silences = ({ silences }: { readonly silences: readonly SilenceView[] }) => {
  const end = useAction('POST /alerts/unsilence')
  const may = useMay('operator')
  const silenceColumns: readonly Column<SilenceView>[] = [
    {
      name: 'matchers',
      title: 'What fits',
      width: 'minmax(200px, 2fr)',
      cell: ({ matchers }) => <code>{matchers.join(', ')}</code>,
    },
    { name: 'comment', title: 'Comment', width: 'minmax(140px, 2fr)', cell: ({ comment }) => comment },
    { name: 'author', title: 'By', width: 'minmax(120px, 1fr)', cell: ({ author }) => author },
    { name: 'ends', title: 'Ends', width: '120px', cell: ({ ends_at }) => <Since at={ends_at} /> },
    {
      name: 'end',
      title: 'End',
      width: '90px',
      cell: ({ id }) => (
        <Button kind="quiet" disabled={!may} isBusy={end.isPending} onClick={() => end.mutate({ body: { id } })}>
          End
        </Button>
      ),
    },
  ]
  return (
    <>
      {end.error && <ErrorNote error={end.error} />}
      <DataTable
        label="Silences"
        columns={silenceColumns}
        rows={silences}
        rowKey={({ id }) => id}
        rowHeight={40}
        empty={
          <Empty title="Nothing is silenced" icon={BellOff} command="npx tidemark alerts silence alert_type=NAME --for 1h" />
        }
      />
    </>
  )
}

const Channels = ({ channels }: { readonly channels: readonly string[] }) => {
  const say = useSay()
  const may = useMay('operator')
  const test = useAction('POST /alerts/test')
  return (
    <div className="stack">
      {test.error && <ErrorNote error={test.error} />}
      <ul className="stack">
        {channels.map((channel) => (
          <li key={channel} className="row">
            <code style={{ flex: 1 }}>{channel}</code>
            <CopyAs
              path="POST /alerts/test"
              input={{ body: { channel } }}
              cli={`npx tidemark alerts test ${shellWord(channel)}`}
            />
            <Button
              icon={Send}
              disabled={!may}
              isBusy={test.isPending && test.variables.body.channel === channel}
              onClick={() =>
                test.mutate(
                  { body: { channel } },
                  { onSuccess: ({ tookMs }) => say(`${channel} took the test in ${duration(tookMs)}.`) },
                )
              }
            >
              Send a test
            </Button>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** What is wrong, who was told, and what is kept quiet. */
export const AlertsScreen = () => {
  const [filters, setFilters] = useFilters(read)
  const may = useMay('operator')
  const answer = useAnswer('GET /alerts', { query: { status: filters.status, limit: 500 } }, { everyMs: 2_000 })
  const content = (report: AlertsReport): readonly Tab<(typeof tabs)[number]>[] => [
    {
      value: 'alerts',
      label: 'Alerts',
      count: report.alerts.length,
      content: <AlertsTable report={report} />,
    },
    { value: 'silences', label: 'Silences', count: report.silences.length, content: <Silences silences={report.silences} /> },
    { value: 'rules', label: 'Rules', content: <Rules /> },
    { value: 'channels', label: 'Channels', count: report.channels.length, content: <Channels channels={report.channels} /> },
  ]
  return (
    <>
      <Answered of={answer} height={320}>
        {(report) => (
          <Panel
            title="Alerts"
            isFlush
            actions={
              <>
                <Button icon={BellOff} disabled={!may} onClick={() => setFilters({ form: 'silence' })}>
                  Silence…
                </Button>
                <CopyAs
                  path="GET /alerts"
                  input={{ query: { status: filters.status } }}
                  cli={`npx tidemark alerts list --status ${filters.status}`}
                />
              </>
            }
          >
            <Tabs
              label="Alerts, silences, rules and channels"
              value={filters.tab}
              onChange={(tab) => setFilters({ tab })}
              tabs={content(report)}
            />
          </Panel>
        )}
      </Answered>
      {filters.form === 'silence' && <SilenceDialog />}
    </>
  )
}

import { RotateCw } from 'lucide-react'
import { useState } from 'react'
import type { ReplayView } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAction, useAnswer } from '../../api/use-answer.ts'
import { count, counted } from '../../format/format.ts'
import { Button } from '../../parts/button.tsx'
import { ConfirmDialog } from '../../parts/confirm-dialog.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Meter } from '../../parts/meter.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { Status, type StatusKind } from '../../parts/status.tsx'
import { useSay } from '../../shell/say.tsx'
import { selectionOf, selectionOptions, type WebhookFilters } from './webhooks-filters.ts'

const kinds: Readonly<Record<ReplayView['status'], StatusKind>> = {
  running: 'busy',
  done: 'ok',
  failed: 'bad',
  cancelled: 'idle',
}

const columns: readonly Column<ReplayView>[] = [
  { name: 'at', title: 'Begun', width: '120px', cell: ({ createdAt }) => <Since at={createdAt} /> },
  { name: 'actor', title: 'By', width: 'minmax(130px, 1fr)', cell: ({ actor }) => actor },
  { name: 'status', title: 'State', width: '110px', cell: ({ status }) => <Status kind={kinds[status]}>{status}</Status> },
  {
    name: 'sent',
    title: 'Sent',
    width: 'minmax(120px, 1fr)',
    cell: ({ id, sent, selected }) => <Meter label={`Sent of replay ${id}`} share={selected === 0 ? 1 : sent / selected} />,
  },
  {
    name: 'count',
    title: 'Events',
    width: '130px',
    align: 'end',
    cell: ({ sent, selected }) => `${count(sent)} of ${count(selected)}`,
  },
  {
    name: 'selection',
    title: 'Which',
    width: 'minmax(160px, 2fr)',
    cell: ({ selection, edited }) => (
      <>
        {edited && <Status kind="warn">edited</Status>} <code>{JSON.stringify(selection)}</code>
      </>
    ),
  },
]

/** What was sent through again, and how far that is. */
export const Replays = () => {
  const { data } = useAnswer('GET /hooks/replays', {}, { everyMs: 2_000 })
  if (!data || data.replays.length === 0) return null
  return (
    <Panel title="Replays" isFlush>
      <DataTable label="Replays" columns={columns} rows={data.replays} rowKey={({ id }) => id} maxHeight={240} />
    </Panel>
  )
}

/** Sends everything that fits the filters through again: first how many that is. */
export const ReplayAll = ({ filters }: { readonly filters: WebhookFilters }) => {
  const say = useSay()
  const may = useMay('operator')
  const [selected, setSelected] = useState<number>()
  const replay = useAction('POST /hooks/replay')
  const selection = selectionOf(filters)
  const close = (): void => setSelected(undefined)
  return (
    <>
      <Button
        icon={RotateCw}
        disabled={!may}
        isBusy={replay.isPending && selected === undefined}
        onClick={() =>
          replay.mutate({ body: { ...selection, dryRun: true } }, { onSuccess: (report) => setSelected(report.selected) })
        }
      >
        Replay what is shown…
      </Button>
      <ConfirmDialog
        title="Replay"
        description={`${counted(selected ?? 0, filters.status === 'all' ? 'dead letter' : 'event')} would be sent through again, a little at a time. Each has its effect once.`}
        verb="Replay"
        isOpen={selected !== undefined}
        isBusy={replay.isPending}
        error={replay.error}
        {...((selected ?? 0) > 100 && { typed: String(selected) })}
        copyAs={
          <CopyAs
            path="POST /hooks/replay"
            input={{ body: selection }}
            cli={`npx tidemark hooks replay${selectionOptions(filters) || ' --all'}`}
          />
        }
        onConfirm={() =>
          replay.mutate(
            { body: selection },
            {
              onSuccess: (report) => {
                close()
                say(
                  report.replay?.again
                    ? 'The same replay is under way already.'
                    : `${counted(report.selected, 'event')} on the way.`,
                )
              },
            },
          )
        }
        onClose={close}
      />
    </>
  )
}

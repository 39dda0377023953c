import { Radio } from 'lucide-react'
import type { ChannelsReport } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { count, counted } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Status } from '../../parts/status.tsx'

type Channel = ChannelsReport['channels'][number]

const columns: readonly Column<Channel>[] = [
  { name: 'topic', title: 'Channel', width: 'minmax(220px, 2fr)', cell: ({ topic }) => <code>{topic}</code> },
  {
    name: 'kind',
    title: 'Kind',
    width: '110px',
    cell: (channel) => <Status kind={channel.private ? 'info' : 'idle'}>{channel.private ? 'private' : 'public'}</Status>,
  },
  { name: 'listeners', title: 'Listeners', width: '110px', align: 'end', cell: ({ listeners }) => count(listeners) },
]

/** The channels of this server, those with most listeners first. */
export const Channels = ({ onChoose }: { readonly onChoose: (channel: Channel) => void }) => {
  const answer = useAnswer('GET /realtime/channels', {}, { everyMs: 2_000 })
  return (
    <Panel title="Channels" isFlush actions={<CopyAs path="GET /realtime/channels" input={{}} />}>
      <Answered of={answer} height={160}>
        {({ channels, total }) => (
          <>
            <DataTable
              label="Channels"
              columns={columns}
              rows={channels}
              rowKey={(channel) => `${channel.private} ${channel.topic}`}
              onOpen={onChoose}
              maxHeight={300}
              empty={
                <Empty title="Nobody has joined a channel" icon={Radio} act="Or type a name below, and join it.">
                  <p>Clients of supabase-js join channels at /realtime/v1 of this server.</p>
                </Empty>
              }
            />
            {channels.length < total && <p className="panel-line dim">of {counted(total, 'channel')}</p>}
          </>
        )}
      </Answered>
    </Panel>
  )
}

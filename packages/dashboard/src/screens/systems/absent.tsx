import { Blocks } from 'lucide-react'
import { Empty } from '../../parts/empty.tsx'
import { Panel } from '../../parts/panel.tsx'

export interface AbsentProps {
  readonly title: string
  /** The folder below apps/. */
  readonly folder: string
  readonly start: string
  /** One of its own, beside the project's. */
  readonly database?: string
}

/** Of an application whose tables are not in this database. */
export const Absent = ({ title, folder, start, database }: AbsentProps) => (
  <Panel title={title}>
    <Empty
      title={`${title} is not in this database`}
      icon={Blocks}
      command={[
        `npx tidemark schema up ${database === undefined ? '' : `--database ${database} `}--migrations apps/${folder}/migrations`,
        start,
      ]}
    >
      <p>
        Its migrations make its tables; then it runs in a process of its own, beside this server. <code>npm start</code> brings
        all five.
      </p>
    </Empty>
  </Panel>
)

import { FileSearch } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import type { MoveStatus, SqliteFile } from 'tidemark/admin'
import { useAnswer } from '../../api/use-answer.ts'
import { bytes } from '../../format/format.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button } from '../../parts/button.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Empty } from '../../parts/empty.tsx'
import { TextField } from '../../parts/field.tsx'
import { Panel } from '../../parts/panel.tsx'
import { Since } from '../../parts/since.tsx'
import { Status } from '../../parts/status.tsx'
import { nameOf } from './actions.tsx'
import { stateWord } from './move-words.ts'

const fileColumns: readonly Column<SqliteFile>[] = [
  { name: 'name', title: 'File', width: 'minmax(180px, 2fr)', cell: ({ name }) => <code>{name}</code> },
  { name: 'bytes', title: 'Size', width: '100px', align: 'end', cell: (file) => bytes(file.bytes) },
  { name: 'modified', title: 'Last written', width: '160px', cell: ({ modifiedAt }) => <Since at={modifiedAt} /> },
]

const moveColumns: readonly Column<MoveStatus>[] = [
  {
    name: 'path',
    title: 'File',
    width: 'minmax(180px, 2fr)',
    // Its name first: where room is short, that is what tells them apart.
    cell: ({ path }) => (
      <span title={path}>
        <code>{nameOf(path)}</code> <span className="dim">in {path.slice(0, -nameOf(path).length - 1) || '/'}</span>
      </span>
    ),
  },
  {
    name: 'state',
    title: 'State',
    width: 'minmax(180px, 1fr)',
    cell: ({ state }) => <Status kind="info">{stateWord(state)}</Status>,
  },
  { name: 'started', title: 'Begun', width: '140px', cell: ({ startedAt }) => <Since at={startedAt} /> },
]

const Known = ({ onChoose }: { readonly onChoose: (file: string) => void }) => {
  const answer = useAnswer('GET /move', { query: {} }, { everyMs: 5_000 })
  return (
    <Answered of={answer} height={0}>
      {({ moves }) =>
        moves.length > 0 && (
          <Panel title="Moves" isFlush>
            <DataTable
              label="Moves"
              columns={moveColumns}
              rows={moves}
              rowKey={({ runId }) => runId}
              onOpen={({ path }) => onChoose(path)}
              maxHeight={280}
            />
          </Panel>
        )
      }
    </Answered>
  )
}

const Found = ({ onChoose }: { readonly onChoose: (file: string) => void }) => {
  const answer = useAnswer('GET /move/files', {})
  return (
    <Answered of={answer}>
      {({ folder, files }) => (
        <>
          <p className="dim panel-line wrap-anywhere">SQLite files in {folder}. Choosing one changes nothing.</p>
          <DataTable
            label="SQLite files"
            columns={fileColumns}
            rows={files}
            rowKey={({ path }) => path}
            onOpen={({ path }) => onChoose(path)}
            maxHeight={320}
            empty={
              <Empty
                title="There is no SQLite file in the project's folder"
                icon={FileSearch}
                command="npx tidemark move plan /path/to/app.db"
              >
                <p>Type the path of one below. It is a path on the server's machine.</p>
              </Empty>
            }
          />
        </>
      )}
    </Answered>
  )
}

/** Which file is to be moved. */
export const ChooseFile = ({ onChoose }: { readonly onChoose: (file: string) => void }) => {
  const [path, setPath] = useState('')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (path.trim() !== '') onChoose(path.trim())
  }
  return (
    <>
      <Known onChoose={onChoose} />
      <Panel title="Choose the SQLite file to move" isFlush>
        <Found onChoose={onChoose} />
        <form className="panel-line row choose" onSubmit={submit}>
          <TextField
            label="Or type its path"
            placeholder="/srv/app/app.db"
            value={path}
            onChange={(event) => setPath(event.target.value)}
          />
          <Button type="submit" disabled={path.trim() === ''}>
            Open
          </Button>
        </form>
      </Panel>
    </>
  )
}

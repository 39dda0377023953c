import { Eye, KeyRound } from 'lucide-react'
import type { KeyName, KeyView } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAction, useAnswer } from '../../api/use-answer.ts'
import { Answered } from '../../parts/answered.tsx'
import { Button } from '../../parts/button.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { Command, CopyText } from '../../parts/copy-text.tsx'
import { type Column, DataTable } from '../../parts/data-table.tsx'
import { Dialog } from '../../parts/dialog.tsx'
import { Empty } from '../../parts/empty.tsx'
import { ErrorNote } from '../../parts/error-note.tsx'
import { Note } from '../../parts/note.tsx'
import { Panel } from '../../parts/panel.tsx'

const purposes: Readonly<Record<KeyName, string>> = {
  anon: 'For pages of everybody: what row security lets anybody see',
  service_role: 'For servers of yours: past row security',
  admin: 'Signs in here, and opens the admin API',
  database: 'The connection string of Postgres, with its password',
  pusher: 'The secret of the Pusher protocol',
}

const columns = (onReveal: (name: KeyName) => void, mayReveal: boolean): readonly Column<KeyView>[] => [
  { name: 'name', title: 'Key', width: '130px', cell: ({ name }) => <strong>{name}</strong> },
  { name: 'purpose', title: 'What it opens', width: 'minmax(260px, 2fr)', cell: ({ name }) => purposes[name] },
  {
    name: 'shown',
    title: 'Value',
    width: 'minmax(140px, 1fr)',
    cell: ({ name, shown }) =>
      name === 'anon' ? (
        <span className="row">
          <code title={shown}>{shown.slice(0, 12)}…</code>
          <CopyText text={shown} what="anon key" />
        </span>
      ) : (
        <code>{shown}</code>
      ),
  },
  {
    name: 'fingerprint',
    title: 'Begins, as SHA-256',
    width: '150px',
    cell: ({ fingerprint }) => <code>{fingerprint}</code>,
  },
  {
    name: 'reveal',
    title: 'Show',
    width: '120px',
    cell: ({ name }) =>
      name !== 'anon' && (
        <Button icon={Eye} disabled={!mayReveal} aria-label={`Reveal ${name}`} onClick={() => onReveal(name)}>
          Reveal
        </Button>
      ),
  },
]

/** The project's keys, masked. One is shown to an admin who asks for it, and the audit log has who asked. */
export const Keys = () => {
  const answer = useAnswer('GET /keys', {})
  const mayReveal = useMay('admin')
  const reveal = useAction('POST /keys/reveal')
  const { data, variables, error } = reveal
  return (
    <Panel title="Keys" isFlush actions={<CopyAs path="GET /keys" input={{}} cli="npx tidemark status --show-keys" />}>
      {error && <ErrorNote error={error} />}
      <Answered of={answer} height={240}>
        {({ keys }) => (
          <DataTable
            label="Keys"
            columns={columns((name) => reveal.mutate({ body: { name } }), mayReveal)}
            rows={keys}
            rowKey={({ name }) => name}
            rowHeight={44}
            empty={<Empty title="There are no keys" icon={KeyRound} command="npx tidemark status --show-keys" />}
          />
        )}
      </Answered>
      {data && variables && (
        <Dialog
          title={`The key ${variables.body.name}`}
          description={purposes[variables.body.name]}
          isOpen
          isWide
          onClose={() => reveal.reset()}
        >
          <Note kind="warn">It is shown until you close this. The audit log has that you looked.</Note>
          <Command text={data.value ?? 'There is none.'} />
        </Dialog>
      )}
    </Panel>
  )
}

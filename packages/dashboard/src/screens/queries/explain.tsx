import { ListTree } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import type { CallerRole, PlanNode } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAction } from '../../api/use-answer.ts'
import { roles } from '../../api/viewpoint.ts'
import { compact, count } from '../../format/format.ts'
import { Button } from '../../parts/button.tsx'
import { CopyAs } from '../../parts/copy-as.tsx'
import { ErrorNote } from '../../parts/error-note.tsx'
import { SelectField } from '../../parts/field.tsx'
import { Panel } from '../../parts/panel.tsx'
import { TextArea } from '../../parts/text-area.tsx'

const Node = ({ node }: { readonly node: PlanNode }) => (
  <li>
    <div className="plan-node">
      <strong>{node['Node Type']}</strong>
      {node['Relation Name'] !== undefined && <code>{node['Relation Name']}</code>}
      {node['Index Name'] !== undefined && <code>{node['Index Name']}</code>}
      <span className="dim">
        cost {compact(node['Total Cost'])}, about {count(node['Plan Rows'])} {node['Plan Rows'] === 1 ? 'row' : 'rows'}
      </span>
      {(node['Index Cond'] ?? node.Filter) !== undefined && <code className="dim">{node['Index Cond'] ?? node.Filter}</code>}
    </div>
    {node.Plans && (
      <ul>
        {node.Plans.map((part, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a plan does not change, and its parts have no names.
          <Node key={`${at} ${part['Node Type']}`} node={part} />
        ))}
      </ul>
    )}
  </li>
)

interface ExplainProps {
  readonly given: string
  readonly role: CallerRole
  readonly onRole: (role: CallerRole) => void
}

/** The plan of one statement. It is not run, and it is asked for as a role of callers. */
export const Explain = ({ given, role, onRole }: ExplainProps) => {
  const isAdmin = useMay('admin')
  const [sql, setSql] = useState(given)
  const explain = useAction('POST /queries/explain')
  const offered = roles.filter((each) => each !== 'service_role' || isAdmin)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    explain.mutate({ body: { sql, role } })
  }
  return (
    <Panel title="Explain" actions={<CopyAs path="POST /queries/explain" input={{ body: { sql, role } }} />}>
      <form className="stack" onSubmit={submit}>
        <TextArea
          label="One statement"
          hint="It is planned and never run. $1 and so on may stand for values."
          value={sql}
          onChange={(event) => setSql(event.target.value)}
        />
        <div className="row" style={{ alignItems: 'flex-end' }}>
          <SelectField
            label="As"
            value={role}
            options={offered.map((each) => [each, each] as const)}
            onChange={(event) => onRole(event.target.value as CallerRole)}
          />
          <Button type="submit" kind="primary" icon={ListTree} disabled={sql.trim() === ''} isBusy={explain.isPending}>
            Explain
          </Button>
        </div>
        {explain.error && <ErrorNote error={explain.error} />}
        {explain.data && (
          <ul className="plan" aria-label="Plan">
            <Node node={explain.data.plan} />
          </ul>
        )}
      </form>
    </Panel>
  )
}

import { type FormEvent, useState } from 'react'
import type { CallerRole } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { roles } from '../../api/viewpoint.ts'
import { Button } from '../../parts/button.tsx'
import { areClaims, ClaimsField } from '../../parts/claims-field.tsx'
import { SelectField, TextField } from '../../parts/field.tsx'
import { useDataFilters } from './data-filters.ts'

const names: Readonly<Record<CallerRole, string>> = {
  anon: 'anon: nobody signed in',
  authenticated: 'authenticated: a user',
  service_role: 'service_role: past row security',
}

/** Whose eyes the rows are seen with. */
export const Viewpoint = () => {
  const [filters, setFilters] = useDataFilters()
  const isAdmin = useMay('admin')
  const [user, setUser] = useState(filters.user ?? '')
  const [claims, setClaims] = useState(filters.claims ?? '')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (areClaims(claims)) setFilters({ user: user.trim() || undefined, claims: claims.trim() || undefined, row: undefined })
  }
  const offered = roles.filter((role) => role !== 'service_role' || isAdmin)
  return (
    <form className="panel-line viewpoint" onSubmit={submit}>
      <SelectField
        label="Seen as"
        value={filters.role}
        options={offered.map((role) => [role, names[role]] as const)}
        onChange={(event) => setFilters({ role: event.target.value as CallerRole, row: undefined })}
      />
      {filters.role === 'authenticated' && (
        <>
          <TextField
            label="User id"
            placeholder="sub of the token"
            value={user}
            onChange={(event) => setUser(event.target.value)}
          />
          <ClaimsField value={claims} onChange={setClaims} />
          <Button type="submit">Look</Button>
        </>
      )}
    </form>
  )
}

import { describe, expect, it } from 'vitest'
import { ownColumn } from './own-column.js'
import type { AccessPolicy, TableAccess } from './table-access.js'

const accessOf = (qual: string, more: readonly Partial<AccessPolicy>[] = []): TableAccess => ({
  role: 'authenticated',
  schema: 'public',
  table: 't',
  oid: 1,
  reaches: true,
  bypasses: false,
  digest: '',
  columns: [
    { name: 'user_id', typeOid: 2950, readable: true, generated: null, exactText: 'uuid' },
    { name: 'my "Id"', typeOid: 2950, readable: true, generated: null, exactText: 'uuid' },
    { name: 'owner', typeOid: 25, readable: true, generated: null, exactText: 'text' },
    { name: 'made', typeOid: 2950, readable: true, generated: 'x', exactText: 'uuid' },
    { name: 'loose', typeOid: 25, readable: true, generated: null, exactText: null },
  ],
  policies: [{ qual }, ...more].map((policy) => ({
    name: 'p',
    permissive: true,
    columns: [],
    wholeRow: false,
    qual: 'true',
    ...policy,
  })),
})

describe('the column of the owner', () => {
  it.each([
    ['(user_id = auth.uid())', 'user_id'],
    ['(auth.uid() = user_id)', 'user_id'],
    ['(user_id = ( SELECT auth.uid() AS uid))', 'user_id'],
    ['(( SELECT auth.uid() AS uid) = user_id)', 'user_id'],
    ['("my ""Id""" = auth.uid())', 'my "Id"'],
    ['(owner = (auth.uid())::text)', 'owner'],
    ['((auth.uid())::text = owner)', 'owner'],
    ['(owner = (( SELECT auth.uid() AS uid))::text)', 'owner'],
    ['(owner = ( SELECT (auth.uid())::text AS uid))', 'owner'],
    ['((owner)::text = (auth.uid())::text)', 'owner'],
  ])('is found in %s', (qual, column) => {
    expect(ownColumn(accessOf(qual))).toBe(column)
  })

  it.each([
    '(user_id <> auth.uid())',
    '((user_id = auth.uid()) OR true)',
    '((user_id = auth.uid()) AND (owner IS NULL))',
    '(user_id OPERATOR(public.=) auth.uid())',
    '(user_id = public.uid())',
    '(user_id = auth.uid()) OR (user_id = auth.uid())',
    '(owner = auth.uid())',
    '(user_id = (auth.uid())::text)',
    '((user_id)::text = (auth.uid())::text)',
    '(made = auth.uid())',
    '(loose = (auth.uid())::text)',
    '(missing = auth.uid())',
    '(NOT (user_id = auth.uid()))',
    '(lower(owner) = (auth.uid())::text)',
  ])('is not found in %s', (qual) => {
    expect(ownColumn(accessOf(qual))).toBeUndefined()
  })

  it('is not enough beside another policy', () => {
    expect(ownColumn(accessOf('(user_id = auth.uid())', [{}]))).toBeUndefined()
    expect(ownColumn(accessOf('(user_id = auth.uid())', [{ permissive: false }]))).toBeUndefined()
    const { policies, ...access } = accessOf('(user_id = auth.uid())')
    expect(ownColumn({ ...access, policies: policies.map((policy) => ({ ...policy, permissive: false })) })).toBeUndefined()
    expect(ownColumn({ ...access, policies: [] })).toBeUndefined()
  })
})

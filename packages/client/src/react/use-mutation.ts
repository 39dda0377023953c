import { type UseMutationOptions, type UseMutationResult, useMutation as useTask } from '@tanstack/react-query'
import type { MutationError } from '../mutations/mutation-error.js'
import type { MutateOptions } from '../mutations/mutations.js'
import type { RegisteredDatabase } from '../register.js'
import type { InsertOf, RowOf, TableName, UpdateOf } from '../schema.js'
import { useTidemark } from './tidemark-context.js'

export type MutationKind = 'insert' | 'update' | 'delete'

/** What `mutate` is given, by kind. */
export interface MutationInput<Name extends TableName<RegisteredDatabase>> {
  readonly insert: InsertOf<RegisteredDatabase, Name>
  readonly update: {
    readonly key: Partial<RowOf<RegisteredDatabase, Name>>
    readonly values: UpdateOf<RegisteredDatabase, Name>
  }
  readonly delete: Partial<RowOf<RegisteredDatabase, Name>>
}

/** What comes of it, by kind: the row as it is in the database. */
export interface MutationOutput<Name extends TableName<RegisteredDatabase>> {
  readonly insert: RowOf<RegisteredDatabase, Name>
  readonly update: RowOf<RegisteredDatabase, Name>
  readonly delete: undefined
}

type Options<Name extends TableName<RegisteredDatabase>, Kind extends MutationKind> = MutateOptions &
  Omit<UseMutationOptions<MutationOutput<Name>[Kind], MutationError, MutationInput<Name>[Kind]>, 'mutationFn'>

/**
 * Inserts, updates or deletes rows of a table. Live queries show it at once, and no more where the server refuses it; the result is TanStack
 * Query's.
 */
export const useMutation = <Name extends TableName<RegisteredDatabase>, Kind extends MutationKind>(
  table: Name,
  kind: Kind,
  { optimistic = true, ...options }: Options<Name, Kind> = {},
): UseMutationResult<MutationOutput<Name>[Kind], MutationError, MutationInput<Name>[Kind]> => {
  const tidemark = useTidemark()
  const run = async (input: MutationInput<Name>[MutationKind]): Promise<unknown> => {
    if (kind === 'insert') return tidemark.insert(table, input as MutationInput<Name>['insert'], { optimistic })
    if (kind === 'delete') return tidemark.delete(table, input as MutationInput<Name>['delete'], { optimistic })
    const { key, values } = input as MutationInput<Name>['update']
    return tidemark.update(table, key, values, { optimistic })
  }
  return useTask({
    // Whether the network is there, the answer says.
    networkMode: 'always',
    ...options,
    mutationFn: run as (input: MutationInput<Name>[Kind]) => Promise<MutationOutput<Name>[Kind]>,
  })
}

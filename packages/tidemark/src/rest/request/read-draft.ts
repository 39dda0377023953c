import type { Condition, Embed, OrderTerm, Read, SelectItem } from '../query.js'

/** A {@link Read} that is still being put together: `select` makes the tree, the other parameters fill it. */
export interface ReadDraft {
  select: readonly SelectItem[]
  readonly where: Condition[]
  order: readonly OrderTerm[]
  limit: number | undefined
  offset: number | undefined
}

export const emptyDraft = (select: readonly SelectItem[]): ReadDraft => ({
  select,
  where: [],
  order: [],
  limit: undefined,
  offset: undefined,
})

/** All reads of a tree that is being put together are drafts. */
const draftOf = (read: Read): ReadDraft => read as ReadDraft

/** The embed that goes by that name: its alias, or what is embedded. */
export const draftWithin = (draft: ReadDraft, name: string): ReadDraft | undefined => {
  const embed = draft.select.find(
    (item): item is Embed => item.kind === 'embed' && (item.relation === name || item.alias === name),
  )
  return embed && draftOf(embed.read)
}

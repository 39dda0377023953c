import type { PresenceMeta } from '../realtime.js'

/** One appearance, as the node knows it that it came through. */
export interface Member {
  readonly key: string
  readonly meta: PresenceMeta
}

/** What a node tells of one appearance: with a member it came, without it left. */
export interface MemberChange {
  readonly topic: string
  readonly ref: string
  readonly member?: Member | undefined
}

/** What one node says of itself: who is present through it, and how many listen there. */
export class NodeView {
  /** By topic, then by ref. */
  readonly members = new Map<string, Map<string, Member>>()
  /** By topic; never 0. */
  readonly counts = new Map<string, number>()

  /** Gives what changed by it: undefined where it was known already. */
  apply({ topic, ref, member }: MemberChange): { readonly joined?: Member; readonly left?: Member } | undefined {
    const members = this.members.get(topic)
    const left = members?.get(ref)
    if (member === undefined) {
      if (left === undefined) return undefined
      members!.delete(ref)
      if (members!.size === 0) this.members.delete(topic)
      return { left }
    }
    if (left !== undefined) return undefined
    if (members) members.set(ref, member)
    else this.members.set(topic, new Map([[ref, member]]))
    return { joined: member }
  }

  setCount(topic: string, count: number): void {
    if (count === 0) this.counts.delete(topic)
    else this.counts.set(topic, count)
  }
}

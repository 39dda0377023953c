import type { DeadReason } from '../../webhooks.js'
import type { HeldEvent } from '../runs/held-event.js'

/** What was read of one partition. */
export interface Reading {
  readonly partition: number
  readonly events: readonly HeldEvent[]
}

export interface Buried {
  readonly event: HeldEvent
  readonly reason: DeadReason
  readonly error: string
}

export interface PutOff {
  readonly event: HeldEvent
  readonly dueAtMs: number
}

/** How much of a partition waits. */
export interface Backlog {
  readonly events: number
  /** Held by consumers, not acknowledged. */
  readonly pending: number
  /** Since the oldest of it came. */
  readonly oldestMs: number
}

/** What is known of the worker that had a partition before. */
export interface Before {
  /** Its name, where it did not give the partition back. */
  readonly lostBy: string | undefined
  /** Events whose run it began and did not end, and how often that has happened to them. */
  readonly crashes: ReadonlyMap<string, number>
}

/** Where events come from: a stream of Redis for each partition, or the rows themselves. Its owner alone uses a partition. */
export interface Queue {
  readonly kind: 'stream' | 'rows'
  /** Nobody has ever read the partition, or Redis has lost what it held of it. */
  isMissing(partition: number): Promise<boolean>
  /** Makes a missing partition ready to be read. */
  create(partition: number): Promise<void>
  /**
   * Takes out of a missing partition what came into it nevertheless; `keep` is called with it before it is gone. Whatever was stored before
   * this comes into it no more.
   */
  strip(partition: number, keep: (events: readonly HeldEvent[]) => Promise<void>): Promise<void>
  /** A read that waits ends now, where that can be had; else when its time is over. */
  interrupt(): Promise<void>
  /** Notes that events are about to run, `isStored` where they are rows of a parked lane: should their worker end, the next owner knows. */
  begun(partition: number, events: readonly HeldEvent[], isStored: boolean): Promise<void>
  /** They did not run after all, by no fault of theirs. */
  notBegun(partition: number, events: readonly HeldEvent[]): Promise<void>
  /** Events that were noted, and of which no outcome was told. */
  unended(partition: number): Promise<readonly string[]>
  /** Takes notes of events away of which nothing is left to do. */
  forget(partition: number, ids: readonly string[]): Promise<void>
  /** What earlier owners held and did not finish, oldest first, in parts. */
  recover(partition: number, before: Before): AsyncIterable<readonly HeldEvent[]>
  /** What is new, waiting for it a little. Raises QueueLost. */
  read(owned: ReadonlyMap<number, string>, count: number, waitMs: number): Promise<readonly Reading[]>
  /** Their rows say what became of them. */
  settle(partition: number, events: readonly HeldEvent[]): Promise<void>
  putOff(partition: number, events: readonly PutOff[]): Promise<void>
  bury(partition: number, events: readonly Buried[]): Promise<void>
  /** Ids of events that were put off and are due now. */
  due(partitions: readonly number[]): Promise<readonly string[]>
  /** Cuts off what is done, and forgets consumers that are gone. */
  tend(partition: number): Promise<void>
  backlog(partition: number): Promise<Backlog>
  /** The wall time before which nothing that the queue still holds was appended; undefined where rows are the queue. */
  oldest(partition: number): Promise<number | undefined>
  /** Leaves a partition whose events it has all given back or finished. */
  leave(partition: number): Promise<void>
  stop(): Promise<void>
}

/** A stream is gone, with everything in it. */
export class QueueLost extends Error {
  constructor() {
    super('a stream was lost')
  }
}

import { TidemarkError } from '../../../errors.js'
import type { Clock } from '../../../time/clock.js'
import { lockSlot } from '../../slot-lock.js'
import { readSlot, type Slot, slotName } from '../../slots.js'
import type { Primary } from './primary.js'
import {
  hasLost,
  noPublication,
  notePublication,
  type PublicationState,
  publicationState,
  type Wanted,
} from './publication-watch.js'
import type { ReplicationConnection, SystemIdentity } from './replication-connection.js'
import { newIncarnation, walEpoch } from './wal-epoch.js'

/** A slot that is ours to read, and the history it tells. */
export interface Claim {
  readonly slot: string
  readonly epoch: string
  /** Before it, nothing comes any more. */
  readonly confirmedLsn: bigint
  /** What was flushed when it was claimed; of a slot made just now its own beginning, which is later than what the server said before. */
  readonly flushLsn: bigint
  /** What was published when it was claimed. */
  readonly publication: PublicationState
  /** The epoch of the slot that this one had to replace; undefined where none was. */
  readonly replaced: string | undefined
}

export interface ClaimOptions {
  readonly primary: Primary
  readonly connection: ReplicationConnection
  readonly slot: { readonly name: string; readonly temporary: boolean }
  readonly publication: string
  readonly wanted: Wanted
  readonly timeoutMs: number
  /** How far the reader has come, and under which epoch. */
  readonly known: { readonly epoch: string; readonly lsn: bigint } | undefined
  /** The slot was found to be unreadable. */
  readonly remake: boolean
  /** The server process of our own that read it before. */
  readonly ownPid: number | undefined
  readonly busyTimeoutMs: number
  readonly signal: AbortSignal
  readonly clock: Clock
}

interface Noted {
  readonly incarnation: string
  readonly epoch: string
  readonly publication: PublicationState
}

const noted = async ({ client }: Primary, slot: string): Promise<Noted | undefined> =>
  (await client.query<Noted>('select incarnation, epoch, publication from tidemark.feed_slots where slot_name = $1', [slot]))
    .rows[0]

const note = async ({ client }: Primary, slot: string, incarnation: string, epoch: string): Promise<void> => {
  await client.query(
    `insert into tidemark.feed_slots (slot_name, incarnation, epoch) values ($1, $2, $3)
     on conflict (slot_name) do update set incarnation = excluded.incarnation, epoch = excluded.epoch, created_at = now()`,
    [slot, incarnation, epoch],
  )
}

const make = (options: ClaimOptions, slot: string): Promise<bigint> => {
  const { primary, connection, timeoutMs, signal } = options
  const blocked = async () => {
    const blocker = await primary.blockerOf(connection.pid)
    return new TidemarkError('TM_FEED_SLOT_BLOCKED', { slot, timeoutMs, blocker })
  }
  return connection.createSlot(slot, { temporary: options.slot.temporary, timeoutMs, blocked, signal })
}

/** A walsender of ours may be left over from a connection that broke; it is ended. A dead reader's is waited for. */
const freed = async (options: ClaimOptions, slot: string): Promise<Slot | undefined> => {
  const { primary, ownPid, busyTimeoutMs, clock } = options
  const startedAt = clock.monotonicMs()
  let found = await readSlot(primary.client, slot)
  const pid = found?.activePid ?? null
  const own = pid !== null && pid === ownPid
  if (own) await primary.client.query('select pg_terminate_backend($1)', [pid])
  const limitMs = own ? Math.max(busyTimeoutMs, 5_000) : busyTimeoutMs
  while (found?.activePid != null) {
    if (clock.monotonicMs() - startedAt >= limitMs) throw new TidemarkError('TM_FEED_SLOT_BUSY', { slot, pid: found.activePid })
    await clock.sleep(20, options.signal)
    found = await readSlot(primary.client, slot)
  }
  return found
}

const checkOurs = async ({ client }: Primary, { name, plugin, database, temporary }: Slot): Promise<void> => {
  const { rows } = await client.query<{ mine: string }>('select current_database() as mine')
  const mine = rows[0]!.mine
  const reason =
    plugin !== 'pgoutput'
      ? `its plugin is ${plugin ?? 'none'}`
      : database !== mine
        ? `it belongs to the database ${database ?? '?'}`
        : temporary && 'it is temporary'
  if (reason) throw new TidemarkError('TM_FEED_SLOT_FOREIGN', { slot: name, reason })
}

const claimPersistent = async (options: ClaimOptions, system: SystemIdentity): Promise<Claim> => {
  const { primary, known, remake } = options
  const { databaseOid } = primary.facts
  const slot = slotName(databaseOid, options.slot.name)
  // Two that come together must not both make the slot. Once it is read, that itself keeps others away.
  await lockSlot(primary.client, slot)
  const found = await freed(options, slot)
  const before = await noted(primary, slot)
  const publication = await publicationState(primary, options.publication)
  // Since it was looked at: who takes a slot away for good takes its publication too, and the slot must not be made again.
  if (publication.length === 0) throw noPublication(options.publication)
  const epoch = before && walEpoch({ ...system, databaseOid, incarnation: before.incarnation })
  if (found) {
    await checkOurs(primary, found)
    // A server that is behind what it gave us already was set back to an earlier state, even where nothing else tells.
    const setBack = known !== undefined && known.epoch === epoch && known.lsn > system.flushLsn
    // What was written while a table was not published is not in the stream, although the slot was there.
    const fallen = before !== undefined && hasLost(before.publication, publication, options.wanted)
    const whole = !fallen && found.invalidated === null && found.restartLsn !== null && !remake && !setBack
    if (whole && epoch !== undefined && before?.epoch === epoch && found.confirmedLsn !== null) {
      await notePublication(primary, slot, publication)
      return { slot, epoch, confirmedLsn: found.confirmedLsn, flushLsn: system.flushLsn, publication, replaced: undefined }
    }
    await primary.client.query('select pg_drop_replication_slot($1)', [slot])
  }
  const confirmedLsn = await make(options, slot)
  const incarnation = newIncarnation()
  const made = walEpoch({ ...system, databaseOid, incarnation })
  await note(primary, slot, incarnation, made)
  await notePublication(primary, slot, publication)
  return { slot, epoch: made, confirmedLsn, flushLsn: confirmedLsn, publication, replaced: before?.epoch }
}

/** What has to be so for a copy of the slot to tell all that whoever reads here has not got yet. */
const isWithin = ({ known }: ClaimOptions, { flushLsn }: SystemIdentity, epoch: string, slot: Slot | undefined): boolean => {
  if (!slot || slot.invalidated !== null || slot.confirmedLsn === null || slot.plugin !== 'pgoutput') return false
  return known?.epoch !== epoch || (known.lsn >= slot.confirmedLsn && known.lsn <= flushLsn)
}

/**
 * A copy of the slot that all share tells their history: who goes on with it misses nothing, and has the positions of all. Undefined where it
 * would not.
 */
const claimCopy = async (options: ClaimOptions, system: SystemIdentity, copy: string): Promise<Claim | undefined> => {
  const { primary, connection, slot, wanted } = options
  const { databaseOid } = primary.facts
  const shared = slotName(databaseOid, slot.name)
  const before = await noted(primary, shared)
  const epoch = before && walEpoch({ ...system, databaseOid, incarnation: before.incarnation })
  const publication = await publicationState(primary, options.publication)
  if (!before || epoch === undefined || before.epoch !== epoch || hasLost(before.publication, publication, wanted))
    return undefined
  if (!isWithin(options, system, epoch, await readSlot(primary.client, shared))) return undefined
  const isMade = await connection.copySlot(shared, copy).then(
    () => true,
    () => false,
  )
  if (!isMade) return undefined
  // Its reader may have confirmed more meanwhile.
  const made = await readSlot(primary.client, copy)
  if (made?.confirmedLsn != null && isWithin(options, system, epoch, made))
    return { slot: copy, epoch, confirmedLsn: made.confirmedLsn, flushLsn: system.flushLsn, publication, replaced: undefined }
  await connection.dropSlot(copy)
  return undefined
}

/** Of a history of its own only where it cannot be that of all. */
const claimTemporary = async (options: ClaimOptions, system: SystemIdentity): Promise<Claim> => {
  const { databaseOid } = options.primary.facts
  const incarnation = newIncarnation()
  const slot = `${slotName(databaseOid, options.slot.name)}_${incarnation.slice(0, 8)}`
  const copied = await claimCopy(options, system, slot)
  if (copied) return copied
  const confirmedLsn = await make(options, slot)
  const epoch = walEpoch({ ...system, databaseOid, incarnation })
  const publication = await publicationState(options.primary, options.publication)
  return { slot, epoch, confirmedLsn, flushLsn: confirmedLsn, publication, replaced: undefined }
}

/**
 * Finds the slot, or makes it: the first time, and again where it was lost, invalidated or belongs to another history. Raises
 * TM_FEED_SLOT_BUSY, _BLOCKED, _FOREIGN and _NAME, and TM_FEED_PUBLICATION.
 */
export const claimSlot = async (options: ClaimOptions): Promise<Claim> => {
  const system = await options.connection.identify()
  return options.slot.temporary ? claimTemporary(options, system) : claimPersistent(options, system)
}

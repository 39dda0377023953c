/** Which store is in charge, from what is known: the record of the move, else the file's control row, else the environment. */
import { TidemarkError } from '../errors.js'
import { type MoveState, writerOf } from '../move/live/live-state.js'
import type { FenceState } from '../sqlite/capture/capture.js'
import type { Provider, StoreKind, StoreState } from './store.js'

/** What Postgres' record says of the newest move of the file. */
export interface RecordedMove {
  readonly runId: string
  readonly path: string
  readonly state: MoveState
  readonly epoch: bigint
  readonly readsPercent: number
  readonly isLive: boolean
}

/** What the file says of itself. */
export interface FileMove {
  readonly epoch: bigint
  readonly fence: FenceState
  readonly isExpired: boolean
  readonly wasOpenedAlone: boolean
}

export interface Known {
  readonly recorded: RecordedMove | null
  readonly file: FileMove | null
  readonly provider: StoreKind
}

export const kindOf = (provider: Provider): StoreKind => (provider === 'sqlite' ? 'sqlite' : 'postgres')

/** States in which the move decides; before and after, the environment does. A copy made once binds nobody. */
const decides = ({ state, isLive }: RecordedMove): boolean =>
  state === 'copying' ? isLive : state !== 'planned' && state !== 'copied' && state !== 'aborted'

const readerOf = (state: MoveState): StoreKind =>
  state === 'mirroring' || state === 'rollingBack' || state === 'finished' ? 'postgres' : 'sqlite'

/** The state that a control row alone stands for. */
const stateOfFile = ({ fence, isExpired, wasOpenedAlone }: FileMove): MoveState => {
  if (fence === 'cut') return 'mirroring'
  if (fence === 'cutting' && !isExpired) return 'cuttingOver'
  return wasOpenedAlone ? 'rolledBack' : 'following'
}

const moveState = (state: MoveState, epoch: bigint, readsPercent: number, source: StoreState['source']): StoreState => ({
  writer: writerOf(state),
  reader: readerOf(state),
  move: { state, epoch, readsPercent: state === 'following' ? readsPercent : 0 },
  source,
})

/** The file wins where it was opened again without Postgres: its epoch is the higher one then. */
export const decide = ({ recorded, file, provider }: Known): StoreState => {
  const isFileNewer = file?.wasOpenedAlone && (recorded === null || file.epoch > recorded.epoch)
  if (recorded && !isFileNewer) {
    if (decides(recorded)) return moveState(recorded.state, recorded.epoch, recorded.readsPercent, 'postgres')
    return { writer: provider, reader: provider, move: null, source: 'environment' }
  }
  if (file) return moveState(stateOfFile(file), file.epoch, 0, 'file')
  return { writer: provider, reader: provider, move: null, source: 'environment' }
}

const way = (state: MoveState, wanted: StoreKind, path: string): string => {
  if (state === 'finished') return 'the move is finished, and its file is no longer kept up to date'
  return `run \`tidemark move ${wanted === 'postgres' ? 'cutover' : 'rollback'} ${path}\``
}

/** Raises TM_STORE_CONTRADICTED where the environment names one store while the live move has the other in charge. */
export const checkProvider = (state: StoreState, provider: Provider | undefined, path: string): void => {
  if (provider === undefined || state.move === null || state.writer === null || state.writer === kindOf(provider)) return
  throw contradiction(state.writer, state.move.state, provider, path)
}

export const contradiction = (writer: StoreKind, state: MoveState, provider: Provider, path: string): TidemarkError =>
  new TidemarkError('TM_STORE_CONTRADICTED', {
    provider,
    state,
    writer,
    way: way(state, kindOf(provider), path),
  })

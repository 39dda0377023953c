/** The application's file, as the steps of a live move need it. */
import type { CaptureDatabase, CaptureHold, ControlRow } from '../../sqlite/capture/capture.js'
import { openCaptureDatabase } from '../../sqlite/capture/capture-database.js'
import { readControl } from '../../sqlite/capture/control.js'
import type { HeldRun, LiveRun } from './live-run.js'
import type { LiveMoveOptions } from './switch-options.js'

const defaultBusyMs = 2_000

/** Opens the file for the few things that are written into it. The caller closes it. */
export const openMoveFile = (options: LiveMoveOptions): Promise<CaptureDatabase> =>
  openCaptureDatabase(options.path, {
    busyTimeoutMs: options.busyTimeoutMs ?? defaultBusyMs,
    ...(options.clock && { clock: options.clock }),
    ...(options.signal && { signal: options.signal }),
  })

/** In whose name the file is written to. */
export const captureHold = ({ run, epoch }: HeldRun): CaptureHold => ({ captureId: run.captureId ?? '', epoch })

/** The control row, where it is that of this run. */
export const controlOf = async (file: CaptureDatabase, run: LiveRun): Promise<ControlRow | null> => {
  const control = await file.read(readControl)
  return control?.captureId === run.captureId ? control : null
}

import { randomBytes } from 'node:crypto'
import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrno } from '../../state/files.js'
import { isAlive, ownIdentity } from '../../state/state.js'
import { Segment } from './segment.js'

/** `<order>.<pid>-<start>-<count>.log`, or `<order>.free.log`: whose it is stands in its name, so that taking it over is one rename. */
const nameForm = /^(\d{15}-\d{6}-[0-9a-f]{8})\.(?:free|(\d+)-([\w.]+)-(\d+))\.log$/

let opened = 0

/** The files of one journal, and which of them are this one's. */
export class SegmentFiles {
  readonly #folder: string
  readonly #owner: string
  #made = 0

  private constructor(folder: string, owner: string) {
    this.#folder = folder
    this.#owner = owner
  }

  static async open(folder: string): Promise<SegmentFiles> {
    const { pid, start } = await ownIdentity()
    opened += 1
    return new SegmentFiles(folder, `${pid}-${start}-${opened}`)
  }

  create(nowMs: number): Promise<Segment> {
    this.#made += 1
    const parts = [
      String(Math.floor(nowMs)).padStart(15, '0'),
      String(this.#made).padStart(6, '0'),
      randomBytes(4).toString('hex'),
    ]
    const order = parts.join('-')
    return Segment.create(this.#path(order), order)
  }

  /** Takes over what nobody alive writes on. Of two that try, one succeeds. */
  async adopt(): Promise<readonly Segment[]> {
    const adopted: Segment[] = []
    for (const file of (await readdir(this.#folder)).sort()) {
      const match = nameForm.exec(file)
      if (!match || !(await this.#isFree(match))) continue
      const [, order = ''] = match
      const taken = await rename(join(this.#folder, file), this.#path(order)).then(
        () => true,
        (error: unknown) => {
          if (hasErrno(error, 'ENOENT')) return false
          throw error
        },
      )
      if (taken) adopted.push(await Segment.adopt(this.#path(order), order))
    }
    return adopted
  }

  async #isFree([, , pid, start]: RegExpExecArray): Promise<boolean> {
    return pid === undefined || start === undefined || !(await isAlive({ pid: Number(pid), start }))
  }

  release(segment: Segment): Promise<void> {
    return segment.release(`${segment.order}.free.log`)
  }

  #path(order: string): string {
    return join(this.#folder, `${order}.${this.#owner}.log`)
  }
}

/** Holds whoever passes while it is closed. */
export class Gate {
  #closed: Promise<void> | undefined
  #open: () => void = () => {}
  waiting = 0

  close(): void {
    this.#closed = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  open(): void {
    this.#open()
    this.#closed = undefined
  }

  async pass(): Promise<void> {
    if (!this.#closed) return
    this.waiting++
    await this.#closed
    this.waiting--
  }
}

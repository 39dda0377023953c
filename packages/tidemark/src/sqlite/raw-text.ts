/** Text that no string can stand for (invalid UTF-8, or any text of a UTF-16 file): only its bytes lead back to its row. */
export class RawText {
  /** In the encoding of the file. */
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }
}

/** What a node of the alerts under chaos is told when it begins. */
export interface AlertsNodeOptions {
  readonly url: string
  readonly folder: string
  readonly ops: string
  readonly backup: string
  readonly secret: string
}

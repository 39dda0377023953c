export interface PageListener {
  /** Nobody sees the page; true again when somebody does. */
  hidden(isHidden: boolean): void
  network(event: 'networkDown' | 'networkUp'): void
}

/** Follows the page that this runs in, where it runs in one. A page counts as hidden when it has been so for a while. */
export const followPage = ({ hidden, network }: PageListener, hiddenMs: number): (() => void) => {
  const { document, window } = globalThis as { document?: Document; window?: Window }
  if (!document || !window?.addEventListener) return () => undefined
  let hiding: ReturnType<typeof setTimeout> | undefined
  let isHidden = false
  const looked = (): void => {
    clearTimeout(hiding)
    if (document.visibilityState === 'hidden') {
      hiding = setTimeout(() => {
        isHidden = true
        hidden(true)
      }, hiddenMs)
    } else if (isHidden) {
      isHidden = false
      hidden(false)
    }
  }
  const down = () => network('networkDown')
  const up = () => network('networkUp')
  document.addEventListener('visibilitychange', looked)
  window.addEventListener('offline', down)
  window.addEventListener('online', up)
  looked()
  return () => {
    clearTimeout(hiding)
    document.removeEventListener('visibilitychange', looked)
    window.removeEventListener('offline', down)
    window.removeEventListener('online', up)
  }
}

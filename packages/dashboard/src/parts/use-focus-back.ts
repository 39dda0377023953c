import { useRef } from 'react'

/** For a dialog that no button of its own opens: the keyboard is given back to where it was, or to the screen where that is gone. */
export const useFocusBack = () => {
  const before = useRef<Element>(null)
  return {
    onOpenAutoFocus: (): void => {
      before.current = document.activeElement
    },
    onCloseAutoFocus: (event: Event): void => {
      event.preventDefault()
      const place = before.current?.isConnected ? before.current : document.getElementById('screen')
      if (place instanceof HTMLElement) place.focus({ preventScroll: true })
    },
  }
}

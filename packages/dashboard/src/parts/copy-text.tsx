import { Check, Copy } from 'lucide-react'
import { useState } from 'react'
import { useSay } from '../shell/say.tsx'
import { IconButton } from './button.tsx'

/** Puts a text on the clipboard, and says so. */
export const useCopy = () => {
  const say = useSay()
  return async (text: string, what: string): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text)
      say(`${what} copied.`)
    } catch {
      // Browsers have no clipboard for pages that came over a network without TLS.
      say(`This page may not use the clipboard. ${what}: ${text}`, 'warn')
    }
  }
}

export const CopyText = ({ text, what }: { readonly text: string; readonly what: string }) => {
  const copy = useCopy()
  const [isDone, setDone] = useState(false)
  const click = async (): Promise<void> => {
    await copy(text, what)
    setDone(true)
    setTimeout(() => setDone(false), 2_000)
  }
  return <IconButton icon={isDone ? Check : Copy} label={`Copy: ${what}`} onClick={() => void click()} />
}

/** A command to run, with a button that copies it. */
export const Command = ({ text }: { readonly text: string }) => (
  <div className="command">
    {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard. */}
    <code tabIndex={0}>{text}</code>
    <CopyText text={text} what="command" />
  </div>
)

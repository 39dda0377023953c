// biome-ignore-all lint/a11y/useSemanticElements: the field of a combobox keeps the focus, and takes the keys of its list.
// biome-ignore-all lint/a11y/useFocusableInteractive: the field of a combobox keeps the focus, and takes the keys of its list.
// biome-ignore-all lint/a11y/useKeyWithClickEvents: the field of a combobox keeps the focus, and takes the keys of its list.
// biome-ignore-all lint/a11y/noNoninteractiveElementToInteractiveRole: the field of a combobox keeps the focus, and takes the keys of its list.
import { CornerDownLeft, type LucideIcon } from 'lucide-react'
import { Dialog } from 'radix-ui'
import { type KeyboardEvent, useId, useState } from 'react'
import { useFocusBack } from '../parts/use-focus-back.ts'

export interface PaletteCommand {
  readonly title: string
  readonly icon: LucideIcon
  readonly keys?: string
  run(): void
}

export interface CommandPaletteProps {
  readonly isOpen: boolean
  onClose(): void
  readonly commands: readonly PaletteCommand[]
}

/** All letters in their order: `gmv` finds "Go to Move". */
export const fits = (title: string, wanted: string): boolean => {
  const text = title.toLowerCase()
  let at = 0
  for (const letter of wanted.toLowerCase().replaceAll(' ', '')) {
    at = text.indexOf(letter, at) + 1
    if (at === 0) return false
  }
  return true
}

/** Those that fit; first those that have it as it was typed. */
export const findCommands = (commands: readonly PaletteCommand[], wanted: string): readonly PaletteCommand[] => {
  const found = commands.filter(({ title }) => fits(title, wanted))
  const isLiteral = ({ title }: PaletteCommand): boolean => title.toLowerCase().includes(wanted.trim().toLowerCase())
  return [...found.filter(isLiteral), ...found.filter((command) => !isLiteral(command))]
}

/** Everything that can be done from anywhere, found by typing. */
export const CommandPalette = ({ isOpen, onClose, commands }: CommandPaletteProps) => {
  const focus = useFocusBack()
  return (
    <Dialog.Root open={isOpen} onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay" />
        <Dialog.Content className="dialog palette" aria-describedby={undefined} {...focus}>
          <Dialog.Title className="hidden">Commands</Dialog.Title>
          <Palette commands={commands} onClose={onClose} />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

const Palette = ({ commands, onClose }: Omit<CommandPaletteProps, 'isOpen'>) => {
  const [wanted, setWanted] = useState('')
  const [chosen, setChosen] = useState(0)
  const list = useId()
  const found = findCommands(commands, wanted)
  const run = (command: PaletteCommand | undefined): void => {
    if (!command) return
    onClose()
    command.run()
  }
  const pressed = (event: KeyboardEvent): void => {
    const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (by !== 0) setChosen((at) => (at + by + found.length) % Math.max(found.length, 1))
    else if (event.key === 'Enter') run(found[chosen])
    else return
    event.preventDefault()
  }
  return (
    <>
      <input
        role="combobox"
        aria-label="Command"
        aria-expanded
        aria-controls={list}
        aria-autocomplete="list"
        aria-activedescendant={found[chosen] ? `${list}-${chosen}` : undefined}
        placeholder="Go to a screen, or do something…"
        value={wanted}
        onChange={(event) => {
          setWanted(event.target.value)
          setChosen(0)
        }}
        onKeyDown={pressed}
      />
      <ul role="listbox" id={list} aria-label="Commands">
        {found.map((command, index) => {
          const { title, icon: Icon, keys } = command
          return (
            <li
              key={title}
              role="option"
              id={`${list}-${index}`}
              aria-selected={index === chosen}
              onClick={() => run(command)}
              onPointerMove={() => setChosen(index)}
              ref={index === chosen ? (item) => item?.scrollIntoView?.({ block: 'nearest' }) : undefined}
            >
              <Icon size={16} strokeWidth={1.8} aria-hidden />
              <span>{title}</span>
              {keys !== undefined && <kbd>{keys}</kbd>}
              {index === chosen && <CornerDownLeft size={14} aria-hidden />}
            </li>
          )
        })}
      </ul>
      {found.length === 0 && <p>Nothing is called that.</p>}
    </>
  )
}

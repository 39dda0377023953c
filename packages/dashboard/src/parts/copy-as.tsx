import { Code, SquareTerminal, Terminal } from 'lucide-react'
import { DropdownMenu } from 'radix-ui'
import { type Input, type Path, requestOf } from '../api/ask.ts'
import { curlOf } from '../format/curl.ts'
import { Button } from './button.tsx'
import { useCopy } from './copy-text.tsx'

export interface CopyAsProps<P extends Path> {
  /** The same on the command line, where there is a command. */
  readonly cli?: string | undefined
  readonly path: P
  readonly input: Input<P>
  /** It takes long: the answer is the job that does it. */
  readonly asJob?: boolean
}

/** "Copy as CLI" and "copy as curl" of what a screen shows or a button does. */
export const CopyAs = <P extends Path>({ cli, path, input, asJob = false }: CopyAsProps<P>) => {
  const copy = useCopy()
  const curl = (): string => curlOf({ ...requestOf(path, input), asJob }, location.origin)
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <Button kind="quiet" icon={SquareTerminal} aria-label="Copy as command" title="Copy as CLI or curl" />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="end" sideOffset={4}>
          {cli !== undefined && (
            <DropdownMenu.Item onSelect={() => void copy(cli, 'Command')}>
              <Terminal size={15} aria-hidden /> Copy as CLI
            </DropdownMenu.Item>
          )}
          <DropdownMenu.Item onSelect={() => void copy(curl(), 'curl command')}>
            <Code size={15} aria-hidden /> Copy as curl
          </DropdownMenu.Item>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

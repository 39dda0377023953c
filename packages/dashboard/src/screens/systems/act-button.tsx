import type { LucideIcon } from 'lucide-react'
import type { SystemAction } from 'tidemark/admin'
import { useMay } from '../../api/session.ts'
import { useAction } from '../../api/use-answer.ts'
import { Button } from '../../parts/button.tsx'
import { useSay } from '../../shell/say.tsx'

interface ActButtonProps {
  readonly icon: LucideIcon
  readonly label: string
  readonly children: string
  readonly action: SystemAction
  /** What is said when it was done. */
  readonly done: string
}

/** Does one thing in an application, and says how that went. */
export const ActButton = ({ icon, label, children, action, done }: ActButtonProps) => {
  const say = useSay()
  const act = useAction('POST /systems/act')
  return (
    <Button
      icon={icon}
      aria-label={label}
      disabled={!useMay('operator')}
      isBusy={act.isPending}
      onClick={() => act.mutate({ body: action }, { onSuccess: () => say(done), onError: ({ message }) => say(message, 'warn') })}
    >
      {children}
    </Button>
  )
}

/** A button whose act needs a reason. What it did is read again from the server. */
import { App as AntApp, Button } from 'antd'
import { useState } from 'react'

import { useAct } from '../app/data'
import { useI18n } from '../app/i18n/i18n'
import { ReasonDialog } from '../app/ReasonDialog'
import { RETENTION, askPurge, liftHold, type LegalHold } from './retention'

interface Words {
  action: string
  title: string
  text: string
  done: string
}

interface Props {
  words: Words
  act: (reason: string) => Promise<unknown>
  danger?: boolean
  primary?: boolean
  disabled?: boolean
  size?: 'small' | 'middle' | 'large'
  onDone?: () => void
}

export function ReasonButton({ words, act, danger = false, primary = false, disabled = false, size = 'middle', onDone }: Props) {
  const { message } = AntApp.useApp()
  const [asking, setAsking] = useState(false)
  const doing = useAct(act, {
    rereads: [RETENTION],
    done: () => {
      setAsking(false)
      message.success(words.done)
      onDone?.()
    },
  })
  return (
    <>
      <Button danger={danger} type={primary ? 'primary' : 'default'} size={size} disabled={disabled} onClick={() => setAsking(true)}>
        {words.action}
      </Button>
      <ReasonDialog
        open={asking}
        title={words.title}
        text={words.text}
        action={words.action}
        busy={doing.isPending}
        error={doing.error}
        danger={danger}
        onCancel={() => {
          setAsking(false)
          doing.reset()
        }}
        onConfirm={(reason) => doing.mutate(reason)}
      />
    </>
  )
}

/** Who may ask for the destruction of these recordings does so here; it needs another person's yes. */
export function AskPurge({ ids, disabled = false, onDone }: { ids: string[]; disabled?: boolean; onDone?: () => void }) {
  const { t } = useI18n()
  return (
    <ReasonButton
      danger
      disabled={disabled}
      words={{
        action: t('recordings.ask_purge', { count: ids.length }),
        title: t('recordings.ask_purge_title', { count: ids.length }),
        text: t('recordings.ask_purge_text'),
        done: t('recordings.purge_asked_done'),
      }}
      act={(reason) => askPurge({ ids, reason })}
      {...(onDone ? { onDone } : {})}
    />
  )
}

export function LiftHold({ hold }: { hold: LegalHold }) {
  const { t } = useI18n()
  return (
    <ReasonButton
      size="small"
      words={{
        action: t('recordings.lift_hold'),
        title: t('recordings.lift_hold_title', { person: hold.placed_by.display_name }),
        text: t('recordings.lift_hold_text', { reason: hold.reason }),
        done: t('recordings.hold_lifted'),
      }}
      act={(reason) => liftHold({ id: hold.id, reason })}
    />
  )
}

/** Ends a running session now. The page shows it as over only when the gateway has said so. */
import { App as AntApp, Button } from 'antd'
import { useState } from 'react'

import { useAct } from '../app/data'
import { useI18n } from '../app/i18n/i18n'
import { nameOf } from '../app/names'
import { ReasonDialog } from '../app/ReasonDialog'
import { SESSIONS, cutSession, type Session } from './api'

const OPEN = new Set(['pending', 'live'])
const LONGEST_REASON = 200

export function Cut({ session }: { session: Session }) {
  const { t } = useI18n()
  const { message } = AntApp.useApp()
  const [asking, setAsking] = useState(false)
  const cut = useAct(cutSession, {
    rereads: [SESSIONS],
    done: () => {
      setAsking(false)
      message.info(t('sessions.cut_ordered'))
    },
  })
  if (!OPEN.has(session.state)) return null
  return (
    <>
      <Button danger type="primary" onClick={() => setAsking(true)}>
        {t('sessions.cut')}
      </Button>
      <ReasonDialog
        open={asking}
        title={t('sessions.cut_title', { person: nameOf(session.person), target: nameOf(session.target) })}
        text={t('sessions.cut_text')}
        action={t('sessions.cut')}
        busy={cut.isPending}
        error={cut.error}
        longest={LONGEST_REASON}
        onCancel={() => {
          setAsking(false)
          cut.reset()
        }}
        onConfirm={(reason) => cut.mutate({ id: session.id, reason })}
      />
    </>
  )
}

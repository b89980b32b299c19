/** Holds an engineer's input and lets it go on; output is never held. */
import { Button } from 'antd'
import { useState } from 'react'

import { useAct } from '../app/data'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { nameOf } from '../app/names'
import { ReasonDialog } from '../app/ReasonDialog'
import { SESSIONS, freezeSession, thawSession, type Session } from './api'

const LONGEST_REASON = 200

export function Hold({ session }: { session: Session }) {
  const { t } = useI18n()
  const [asking, setAsking] = useState<'freeze' | 'thaw'>()
  const done = () => setAsking(undefined)
  const freeze = useAct(freezeSession, { rereads: [SESSIONS], done })
  const thaw = useAct(thawSession, { rereads: [SESSIONS], done })
  if (session.state !== 'live') return null
  const act = asking === 'thaw' ? thaw : freeze
  const names = { person: nameOf(session.person), target: nameOf(session.target) }
  return (
    <>
      <Button icon={<Icon name={session.frozen ? 'play' : 'hand'} />} onClick={() => setAsking(session.frozen ? 'thaw' : 'freeze')}>
        {t(session.frozen ? 'sessions.thaw' : 'sessions.freeze')}
      </Button>
      <ReasonDialog
        open={asking !== undefined}
        title={t(asking === 'thaw' ? 'sessions.thaw_title' : 'sessions.freeze_title', names)}
        text={t(asking === 'thaw' ? 'sessions.thaw_text' : 'sessions.freeze_text')}
        action={t(asking === 'thaw' ? 'sessions.thaw' : 'sessions.freeze')}
        initial={t(asking === 'thaw' ? 'sessions.thaw_reason' : 'sessions.freeze_reason')}
        danger={false}
        busy={act.isPending}
        error={act.error}
        longest={LONGEST_REASON}
        onCancel={() => {
          setAsking(undefined)
          act.reset()
        }}
        onConfirm={(reason) => act.mutate({ id: session.id, reason })}
      />
    </>
  )
}

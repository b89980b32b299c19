/** How a session that runs stands: held or not, and who watches. */
import { useI18n } from '../app/i18n/i18n'
import { nameOf } from '../app/names'
import { Chip, State } from '../app/parts'
import type { Session } from './api'

export function Standing({ session }: { session: Session }) {
  const { t } = useI18n()
  const runs = session.state === 'live'
  const unwatched = session.must_be_watched && session.watchers.length === 0
  return (
    <span className="row standing">
      <State of="sessions.state" value={session.state} />
      {runs && session.frozen ? (
        <Chip tone="wait" icon="hand">
          {t('sessions.held')}
        </Chip>
      ) : null}
      {runs && unwatched ? (
        <Chip tone="bad" icon="eye">
          {t('sessions.held_unwatched')}
        </Chip>
      ) : null}
      {runs && session.must_be_watched && !unwatched ? (
        <Chip tone="quiet" icon="eye">
          {t('sessions.must_be_watched')}
        </Chip>
      ) : null}
    </span>
  )
}

export function Watchers({ session }: { session: Session }) {
  const { t } = useI18n()
  if (session.watchers.length === 0) return <>{t('sessions.nobody_watches')}</>
  return <>{session.watchers.map(nameOf).join(t('sessions.and'))}</>
}

/** How long one recording is kept, for those too who may not look into it. */
import { Link, useParams } from 'react-router'

import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { PageHead } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { Keeping } from './Keeping'
import { useKept, wordsOf } from './retention'

export default function KeepingPage() {
  const { t } = useI18n()
  const { can } = useSession()
  const id = useParams().id ?? ''
  const kept = useKept(id).data
  return (
    <>
      <Link to="/retention" className="back">
        <Icon name="back" />
        {t('recordings.retention')}
      </Link>
      <PageHead title={kept ? wordsOf(kept) : t('recordings.recording')}>
        {kept && !kept.destroyed && can(may.replayRecording) ? (
          <Link className="button-link" to={`/recordings/${id}`}>
            <Icon name="play" />
            {t('sessions.replay')}
          </Link>
        ) : null}
      </PageHead>
      <Keeping id={id} />
    </>
  )
}

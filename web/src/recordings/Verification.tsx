/** Whether the recording is whole and unaltered, in words. */
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Chip, type Tone } from '../app/parts'
import type { Recording } from './api'

const FINDINGS: Record<string, Tone> = { verified: 'good', unfinished: 'wait', purged: 'wait', incomplete: 'bad', altered: 'bad', missing: 'bad', unreachable: 'wait' }

export function Verification({ recording }: { recording: Recording }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const { state, checked_at, first_bad } = recording.verification
  const tone = FINDINGS[state] ?? 'wait'
  return (
    <section className={`verification verification-${tone}`} aria-label={t('recordings.verification')}>
      <Chip tone={tone} icon={tone === 'good' ? 'check' : 'warning'}>
        {tCode('recordings.finding', state)}
      </Chip>
      <p>
        {tCode('recordings.finding_text', state, {}, '')}{' '}
        {first_bad === null || first_bad === undefined ? null : t('recordings.first_bad', { batch: first_bad })}
      </p>
      <p>{tCode('recordings.trail', recording.verification.trail, { count: format.number(recording.verification.heads) }, '')}</p>
      <Place recording={recording} />
      <p className="muted">
        {t('recordings.size', {
          state: tCode('recordings.state', recording.state),
          frames: format.number(recording.frames),
          bytes: format.bytes(recording.bytes),
          at: format.moment(checked_at),
        })}
      </p>
    </section>
  )
}

/** Where the recording lies, and what stands in the way of its copy. */
function Place({ recording }: { recording: Recording }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const { place, copied } = recording
  return (
    <>
      <p>
        {tCode('recordings.place', place, {
          at: copied?.verified_at ? format.moment(copied.verified_at) : '',
          until: copied?.locked_until ? format.moment(copied.locked_until) : '',
        })}{' '}
        {copied?.is_held ? t('recordings.copy_held') : null}
      </p>
      {copied?.state === 'growing' ? (
        <p className="muted">{t('recordings.copy_growing', { bytes: format.bytes(copied.uploaded_bytes) })}</p>
      ) : null}
      {copied?.problem ? (
        <p>
          <Chip tone="bad" icon="warning">
            {t('recordings.copy_problem')}
          </Chip>{' '}
          {tCode('recordings.copy_problem', copied.problem, {}, copied.problem)}
        </p>
      ) : null}
    </>
  )
}

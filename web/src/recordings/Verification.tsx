/** Whether the recording is whole and unaltered, in words. */
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Chip, type Tone } from '../app/parts'
import type { Recording } from './api'

const FINDINGS: Record<string, Tone> = { verified: 'good', unfinished: 'wait', purged: 'wait', incomplete: 'bad', altered: 'bad', missing: 'bad' }

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

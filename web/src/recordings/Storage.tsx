/** When the disk is full of recordings, and whether it can hold them for as long as they are kept. */
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Chip, Facts, Refusal, type Tone } from '../app/parts'
import { useStorage, type Forecast } from './retention'

const TONES: Record<string, Tone> = { good: 'good', unknown: 'quiet', short: 'wait', soon: 'bad', full: 'bad' }

export function Storage() {
  const { t } = useI18n()
  const format = useFormat()
  const query = useStorage()
  const storage = query.data
  if (!storage) return <Refusal error={query.error} retry={() => void query.refetch()} />
  return (
    <section className="panel" aria-label={t('recordings.storage')}>
      <h2>{t('recordings.storage')}</h2>
      {storage.forecast ? <Outlook forecast={storage.forecast} /> : <p>{t('recordings.storage_unknown')}</p>}
      <p className="muted">
        {t('recordings.storage_counts', { held: format.number(storage.on_hold), waiting: format.number(storage.waiting_for_removal) })}
      </p>
    </section>
  )
}

function Outlook({ forecast }: { forecast: Forecast }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const tone = TONES[forecast.level] ?? 'wait'
  const days = (value: number | null) => (value === null ? t('recordings.no_end') : t('recordings.days', { days: format.number(value) }))
  return (
    <>
      <p>
        <Chip tone={tone} icon={tone === 'good' || tone === 'quiet' ? 'check' : 'warning'}>
          {tCode('recordings.forecast', forecast.level)}
        </Chip>
      </p>
      <p>{tCode('recordings.forecast_text', forecast.level, { keep: format.number(forecast.keep_days) }, '')}</p>
      <Facts
        rows={[
          [t('recordings.full_at'), forecast.full_at ? `${format.moment(forecast.full_at)} (${days(forecast.days_until_full)})` : t('recordings.no_end')],
          [t('recordings.days_held'), t('recordings.days_held_of', { days: days(forecast.days_held), keep: format.number(forecast.keep_days) })],
          [
            t('recordings.per_day'),
            t('recordings.per_day_over', { bytes: format.bytes(forecast.bytes_per_day), days: format.number(forecast.observed_days) }),
          ],
          [t('recordings.kept_bytes'), format.bytes(forecast.kept_bytes)],
          [t('recordings.usable'), t('recordings.usable_of', { usable: format.bytes(forecast.usable_bytes), free: format.bytes(forecast.free_bytes) })],
        ]}
      />
    </>
  )
}

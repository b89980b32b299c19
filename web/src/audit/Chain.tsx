/** Whether the trail's chain holds from its first record to the last. */
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Chip, Refusal } from '../app/parts'
import { useChain } from './api'

export function Chain() {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const query = useChain()
  const state = query.data
  if (query.error) return <Refusal error={query.error} />
  if (!state) return null
  const tone = state.verified ? 'good' : 'bad'
  return (
    <section className={`verification verification-${tone}`} aria-label={t('audit.chain')}>
      <Chip tone={tone} icon={state.verified ? 'check' : 'warning'}>
        {t(state.verified ? 'audit.chain_holds' : 'audit.chain_broken')}
      </Chip>
      <p>{t(state.verified ? 'audit.chain_holds_text' : 'audit.chain_broken_text')}</p>
      <p className="muted">
        {state.broken_at
          ? `${t('audit.chain_broken_at', { seq: format.number(state.broken_at) })} ${tCode('audit.broken_how', state.broken_how ?? '', {}, '')} `
          : null}
        {t('audit.chain_facts', { seq: format.number(state.last_seq), at: format.moment(state.checked_at) })}{' '}
        <code className="long">{state.head}</code>
      </p>
    </section>
  )
}

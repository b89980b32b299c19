/** Tests of connections: does the machine answer, and does it show the key that it is pinned to. */
import { Button, Form, type FormInstance } from 'antd'

import { useAct } from '../app/data'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { Refusal } from '../app/parts'
import { AUDIT, probeAddress, probeTarget, type Endpoint, type Probe, type Target } from './api'

export function ConnectionTest({ target }: { target: Target }) {
  const { t } = useI18n()
  const act = useAct(probeTarget, { rereads: [AUDIT] })
  return (
    <section className="panel" aria-label={t('targets.test')}>
      <h2>{t('targets.test')}</h2>
      <p className="muted">{t('targets.test_text')}</p>
      <Button icon={<Icon name="live" />} loading={act.isPending} onClick={() => act.mutate(target.id)}>
        {t('targets.test_now')}
      </Button>
      <div role="status" aria-live="polite" className="test-result">
        {act.data && !act.isPending ? <Result probe={act.data} /> : null}
      </div>
      <Refusal error={act.error} />
    </section>
  )
}

function Result({ probe }: { probe: Probe }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const shown = probe.outcome === 'key_shown'
  const tone = !shown || probe.key_differs ? 'bad' : 'good'
  const title = probe.key_differs ? t('targets.key_differs') : shown ? t('targets.key_matches') : tCode('targets.outcome', probe.outcome)
  return (
    <div className={`verification verification-${tone}`}>
      <strong className={`tone-${tone}`}>
        <Icon name={tone === 'good' ? 'check' : 'warning'} size={16} /> {title}
      </strong>
      <p>{tCode('targets.outcome_text', probe.key_differs ? 'key_differs' : probe.outcome, {}, '')}</p>
      {probe.key_differs ? (
        <p className="keys">
          {t('targets.key_pinned')} <code className="long">{probe.pinned_fingerprint}</code>
          <br />
          {t('targets.key_shown')} <code className="long">{probe.fingerprint}</code>
        </p>
      ) : null}
      <p className="muted">{t('targets.tested', { at: format.moment(probe.at), milliseconds: format.number(probe.milliseconds) })}</p>
    </div>
  )
}

/** Beside the field of a host key: reads it from the machine that is named above it. It must still be compared. */
export function FetchKey() {
  const { t, tCode } = useI18n()
  const form: FormInstance<Endpoint> = Form.useFormInstance()
  const act = useAct(probeAddress, {
    rereads: [AUDIT],
    done: (probe) => {
      if (probe.host_key) form.setFieldValue('host_key', probe.host_key)
    },
  })
  const fetch = async () => {
    const named = await form.validateFields(['address', 'port']).catch(() => undefined)
    if (named) act.mutate({ address: form.getFieldValue('address').trim(), port: form.getFieldValue('port') })
  }
  const failed = act.data && !act.data.host_key ? act.data.outcome : undefined
  return (
    <div className="fetch-key">
      <Button size="small" loading={act.isPending} onClick={() => void fetch()}>
        {t('targets.fetch_key')}
      </Button>
      <div role="status" aria-live="polite">
        {act.data?.host_key ? <p className="fetched">{t('targets.fetched')}</p> : null}
        {failed ? (
          <p className="tone-bad">
            {tCode('targets.outcome', failed)} {tCode('targets.outcome_text', failed, {}, '')}
          </p>
        ) : null}
      </div>
      <Refusal error={act.error} />
    </div>
  )
}

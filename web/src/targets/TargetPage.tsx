/** One target: its facts, its accounts with their credentials, and the change of its address or key. */
import { Alert, App as AntApp, Button } from 'antd'
import { useState } from 'react'
import { Link, useParams } from 'react-router'

import { useAct } from '../app/data'
import { Loading } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { Facts, PageHead, Refusal, State } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { useCredentialStates } from '../vault/api'
import { CredentialDialog } from '../vault/CredentialDialog'
import { AUDIT, TARGETS, retireTarget, stateOf, useTarget, type Target } from './api'
import { ConnectionTest } from './ConnectionTest'
import { EndpointDialog } from './EndpointDialog'
import { Fingerprint } from './EndpointFields'

export default function TargetPage() {
  const { t } = useI18n()
  const { can } = useSession()
  const { message } = AntApp.useApp()
  const format = useFormat()
  const query = useTarget(useParams().id ?? '')
  const [binding, setBinding] = useState<string>()
  const [changing, setChanging] = useState(false)
  const target = query.data
  const inUse = target?.retired_at === null
  return (
    <>
      <Link to="/targets" className="back">
        <Icon name="back" />
        {t('targets.to_list')}
      </Link>
      <Refusal error={query.error} retry={() => void query.refetch()} />
      {query.isLoading ? <Loading /> : null}
      {target ? (
        <>
          <PageHead title={target.name} lead={target.description}>
            {inUse && can(may.changeTarget) ? (
              <Button onClick={() => setChanging(true)}>{t('targets.change_endpoint')}</Button>
            ) : null}
            {inUse && can(may.retireTarget) ? <RetireButton target={target} /> : null}
          </PageHead>
          {target.retired_at !== null ? (
            <Alert type="info" showIcon title={t('targets.retired_at', { at: format.moment(target.retired_at) })} />
          ) : null}
          <div className="panel">
            <Facts
              rows={[
                [t('targets.state_label'), <State key="state" of="targets.state" value={stateOf(target)} />],
                [t('targets.zone'), target.zone],
                [
                  t('targets.address'),
                  <code key="address">
                    {target.address}:{target.port}
                  </code>,
                ],
                [t('targets.protocol'), target.protocol.toUpperCase()],
                [t('targets.host_key'), <code key="key" className="long">{target.host_key}</code>],
              ]}
            />
            <Fingerprint line={target.host_key} />
          </div>
          {inUse && can(may.probeTarget) ? <ConnectionTest key={target.host_key} target={target} /> : null}
          <section className="panel">
            <h2>{t('targets.accounts')}</h2>
            <p className="muted">{t('targets.credentials_text')}</p>
            <ul className="lines">
              {target.accounts.map((account) => (
                <li key={account}>
                  <span className="row">
                    <code>{account}</code>
                    <CredentialChip targetId={target.id} account={account} />
                  </span>
                  {inUse && can(may.putCredential) ? (
                    <Button size="small" onClick={() => setBinding(account)}>
                      {t('targets.put_credential')}
                    </Button>
                  ) : null}
                </li>
              ))}
            </ul>
          </section>
          {binding !== undefined ? (
            <CredentialDialog
              target={target}
              account={binding}
              onClose={() => setBinding(undefined)}
              onDone={() => {
                setBinding(undefined)
                message.success(t('vault.credential_kept', { account: binding }))
              }}
            />
          ) : null}
          {changing ? <EndpointDialog target={target} onClose={() => setChanging(false)} /> : null}
        </>
      ) : null}
    </>
  )
}

function RetireButton({ target }: { target: Target }) {
  const { t, tProblem } = useI18n()
  const { modal, message } = AntApp.useApp()
  const act = useAct(retireTarget, { rereads: [TARGETS, AUDIT] })
  const retire = () =>
    act
      .mutateAsync(target.id)
      .then(() => message.success(t('targets.retired', { target: target.name })))
      .catch((error: unknown) => message.error(tProblem(error)))
  const ask = () =>
    modal.confirm({
      title: t('targets.retire_title', { target: target.name }),
      content: t('targets.retire_text'),
      okText: t('targets.retire_confirm'),
      okButtonProps: { danger: true },
      cancelText: t('app.cancel'),
      onOk: () => retire(),
    })
  return (
    <Button danger onClick={ask}>
      {t('targets.retire')}
    </Button>
  )
}

function CredentialChip({ targetId, account }: { targetId: string; account: string }) {
  const states = useCredentialStates(targetId)
  const found = states.data?.items.find((item) => item.account === account)
  return found ? <State of="vault.state" value={found.state} /> : null
}

/** One target: its facts, its accounts with their credentials, and the change of its address or key. */
import { App as AntApp, Button } from 'antd'
import { useState } from 'react'
import { Link, useParams } from 'react-router'

import { Loading } from '../app/DataList'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { Facts, PageHead, Refusal, State } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { useCredentialStates } from '../vault/api'
import { CredentialDialog } from '../vault/CredentialDialog'
import { useTarget } from './api'
import { ConnectionTest } from './ConnectionTest'
import { EndpointDialog } from './EndpointDialog'
import { Fingerprint } from './EndpointFields'

export default function TargetPage() {
  const { t } = useI18n()
  const { can } = useSession()
  const { message } = AntApp.useApp()
  const query = useTarget(useParams().id ?? '')
  const [binding, setBinding] = useState<string>()
  const [changing, setChanging] = useState(false)
  const target = query.data
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
            {can(may.changeTarget) ? <Button onClick={() => setChanging(true)}>{t('targets.change_endpoint')}</Button> : null}
          </PageHead>
          <div className="panel">
            <Facts
              rows={[
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
          {can(may.probeTarget) ? <ConnectionTest key={target.host_key} target={target} /> : null}
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
                  {can(may.putCredential) ? (
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

function CredentialChip({ targetId, account }: { targetId: string; account: string }) {
  const states = useCredentialStates(targetId)
  const found = states.data?.items.find((item) => item.account === account)
  return found ? <State of="vault.state" value={found.state} /> : null
}

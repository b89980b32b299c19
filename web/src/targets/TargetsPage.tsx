/** Machines that may be reached through the broker. */
import { Button } from 'antd'
import { useState } from 'react'
import { Link } from 'react-router'

import { DataList, type Column } from '../app/DataList'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { PageHead, State } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { stateOf, useTargets, type Target } from './api'
import { NewTargetDialog } from './NewTargetDialog'

export default function TargetsPage() {
  const { t, tCode } = useI18n()
  const { can } = useSession()
  const list = useTargets()
  const [adding, setAdding] = useState(false)
  const columns: Column<Target>[] = [
    { title: t('targets.name'), render: (target) => <Link to={`/targets/${target.id}`}>{target.name}</Link> },
    { title: t('targets.state_label'), render: (target) => <State of="targets.state" value={stateOf(target)} /> },
    { title: t('targets.zone'), render: (target) => target.zone },
    {
      title: t('targets.address'),
      render: (target) => (
        <code>
          {target.address}:{target.port}
        </code>
      ),
    },
    { title: t('targets.protocol'), render: (target) => target.protocol.toUpperCase() },
    { title: t('targets.accounts'), render: (target) => <code>{target.accounts.join(', ')}</code> },
    { title: t('targets.description'), render: (target) => target.description || '–', wide: true },
  ]
  return (
    <>
      <PageHead title={t('targets.targets')} lead={t('targets.lead')}>
        {can(may.createTarget) ? (
          <Button type="primary" icon={<Icon name="plus" />} onClick={() => setAdding(true)}>
            {t('targets.add')}
          </Button>
        ) : null}
      </PageHead>
      <DataList
        label={t('targets.targets')}
        list={list}
        columns={columns}
        rowKey={(target) => target.id}
        empty={t('targets.none')}
        search={(target) => [
          target.name,
          target.zone,
          target.address,
          target.description,
          tCode('targets.state', stateOf(target)),
          ...target.accounts,
        ]}
      />
      {adding ? <NewTargetDialog onClose={() => setAdding(false)} /> : null}
    </>
  )
}

/** What has been allowed, for how long, and the way to take it back. */
import { Button } from 'antd'
import { useState } from 'react'

import { useAct } from '../app/data'
import { DataList, type Column } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { nameOf } from '../app/names'
import { PageHead, State } from '../app/parts'
import { may } from '../app/permissions'
import { ReasonDialog } from '../app/ReasonDialog'
import { useSession } from '../app/session'
import { GRANTS, revokeGrant, useGrants, type Grant } from './api'

const OPEN = new Set(['issued', 'active'])

export default function GrantsPage() {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const { can } = useSession()
  const list = useGrants()
  const [revoking, setRevoking] = useState<Grant>()
  const revoke = useAct(revokeGrant, { rereads: [GRANTS, 'sessions'], done: () => setRevoking(undefined) })

  const columns: Column<Grant>[] = [
    { title: t('grants.target'), render: (grant) => <strong>{nameOf(grant.target)}</strong> },
    { title: t('grants.account'), render: (grant) => <code>{grant.account}</code> },
    { title: t('grants.person'), render: (grant) => nameOf(grant.person) },
    { title: t('grants.device'), render: (grant) => nameOf(grant.device) },
    { title: t('grants.window'), render: (grant) => format.range(grant.not_before, grant.not_after) },
    { title: t('grants.state_label'), render: (grant) => <State of="grants.state" value={grant.state} /> },
  ]
  if (can(may.revokeGrant)) {
    columns.push({
      title: '',
      render: (grant) =>
        OPEN.has(grant.state) ? (
          <Button size="small" danger onClick={() => setRevoking(grant)}>
            {t('grants.revoke')}
          </Button>
        ) : null,
    })
  }
  return (
    <>
      <PageHead title={t('grants.grants')} lead={t('grants.lead')} />
      <DataList
        label={t('grants.grants')}
        list={list}
        columns={columns}
        rowKey={(grant) => grant.id}
        empty={t('grants.none')}
        search={(grant) => [nameOf(grant.target), nameOf(grant.person), nameOf(grant.device), grant.account, tCode('grants.state', grant.state)]}
      />
      <ReasonDialog
        open={revoking !== undefined}
        title={t('grants.revoke_title', { person: nameOf(revoking?.person), target: nameOf(revoking?.target) })}
        text={t('grants.revoke_text')}
        action={t('grants.revoke')}
        busy={revoke.isPending}
        error={revoke.error}
        onCancel={() => {
          setRevoking(undefined)
          revoke.reset()
        }}
        onConfirm={(reason) => revoking && revoke.mutate({ id: revoking.id, reason })}
      />
    </>
  )
}

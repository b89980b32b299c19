import { Button, Form, Input, Modal, Select } from 'antd'
import { useState } from 'react'

import { useAct } from '../app/data'
import { useI18n } from '../app/i18n/i18n'
import { Refusal } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { TARGETS, ZONES, createTarget, createZone, useZones, type NewTarget } from './api'
import { EndpointFields } from './EndpointFields'

export function NewTargetDialog({ onClose }: { onClose: () => void }) {
  const { t } = useI18n()
  const { can } = useSession()
  const [form] = Form.useForm<NewTarget>()
  const zones = useZones()
  const act = useAct(createTarget, { rereads: [TARGETS], done: onClose })
  return (
    <Modal
      open
      title={t('targets.add')}
      width={620}
      onCancel={onClose}
      onOk={() => form.submit()}
      okText={t('targets.create')}
      okButtonProps={{ loading: act.isPending }}
      cancelText={t('app.cancel')}
      mask={{ closable: false }}
    >
      <Form<NewTarget>
        form={form}
        layout="vertical"
        initialValues={{ port: 22, accounts: [], description: '' }}
        onFinish={(fields) => act.mutate({ ...fields, protocol: 'ssh', host_key: fields.host_key.trim(), address: fields.address.trim() })}
      >
        <Form.Item
          name="name"
          label={t('targets.name')}
          extra={t('targets.name_text')}
          rules={[{ required: true, pattern: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, message: t('targets.name_rule') }]}
        >
          <Input maxLength={63} autoComplete="off" autoCapitalize="none" spellCheck={false} />
        </Form.Item>
        <Form.Item name="zone_id" label={t('targets.zone')} rules={[{ required: true, message: t('targets.zone_needed') }]}>
          <Select
            loading={zones.loading}
            notFoundContent={t('targets.no_zone')}
            options={zones.items.map((zone) => ({ value: zone.id, label: zone.name }))}
          />
        </Form.Item>
        {can(may.createZone) ? <NewZone onMade={(id) => form.setFieldValue('zone_id', id)} /> : null}
        <EndpointFields />
        <Form.Item
          name="accounts"
          label={t('targets.accounts')}
          extra={t('targets.accounts_text')}
          rules={[{ required: true, type: 'array', min: 1, message: t('targets.accounts_needed') }]}
        >
          <Select mode="tags" open={false} suffixIcon={null} tokenSeparators={[' ', ',']} />
        </Form.Item>
        <Form.Item name="description" label={t('targets.description')}>
          <Input maxLength={500} />
        </Form.Item>
      </Form>
      <Refusal error={zones.error ?? act.error} />
    </Modal>
  )
}

function NewZone({ onMade }: { onMade: (id: string) => void }) {
  const { t } = useI18n()
  const [name, setName] = useState('')
  const act = useAct(createZone, {
    rereads: [ZONES],
    done: (zone) => {
      setName('')
      onMade(zone.id)
    },
  })
  return (
    <>
      <div className="row zone">
        <Input
          aria-label={t('targets.new_zone')}
          placeholder={t('targets.new_zone')}
          maxLength={80}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <Button disabled={name.trim() === ''} loading={act.isPending} onClick={() => act.mutate(name.trim())}>
          {t('targets.add_zone')}
        </Button>
      </div>
      <Refusal error={act.error} />
    </>
  )
}

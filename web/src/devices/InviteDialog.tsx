/** Makes an invite for one device of one engineer. Its text holds a key and is shown this once. */
import { Modal, Select } from 'antd'
import { useId, useState } from 'react'

import { useAct } from '../app/data'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { HandOn, Refusal } from '../app/parts'
import { usePeople } from '../identities/api'
import { DEVICES, invite } from './api'

export function InviteDialog({ onClose }: { onClose: () => void }) {
  const { t } = useI18n()
  const format = useFormat()
  const people = usePeople()
  const [personId, setPersonId] = useState<string>()
  const id = useId()
  const act = useAct(invite, { rereads: [DEVICES] })
  const engineers = people.items.filter((person) => person.role === 'vendor_engineer' && person.state !== 'suspended')
  const chosen = engineers.find((person) => person.id === personId)

  if (act.data && chosen) {
    return (
      <Modal
        open
        title={t('devices.invite_for', { name: chosen.display_name })}
        onCancel={onClose}
        onOk={onClose}
        okText={t('app.done')}
        cancelButtonProps={{ hidden: true }}
        mask={{ closable: false }}
      >
        <p>{t('devices.invite_hand_over', { until: format.moment(act.data.expires_at) })}</p>
        <HandOn
          label={t('devices.invite_text')}
          text={act.data.invite_text}
          fileName={`sallyport-invite-${chosen.username}.txt`}
        />
        <p className="once">{t('app.once')}</p>
      </Modal>
    )
  }
  return (
    <Modal
      open
      title={t('devices.invite')}
      okText={t('devices.invite_create')}
      okButtonProps={{ loading: act.isPending, disabled: !personId }}
      cancelText={t('app.cancel')}
      onCancel={onClose}
      onOk={() => personId && act.mutate(personId)}
      mask={{ closable: false }}
    >
      <p>{t('devices.invite_lead')}</p>
      <label htmlFor={id}>{t('devices.owner')}</label>
      <Select
        id={id}
        className="wide"
        showSearch={{ optionFilterProp: 'label' }}
        value={personId}
        onChange={setPersonId}
        loading={people.loading}
        placeholder={t('devices.choose_engineer')}
        notFoundContent={t('devices.no_engineer')}
        options={engineers.map((person) => ({
          value: person.id,
          label: person.company ? `${person.display_name} · ${person.company}` : person.display_name,
        }))}
      />
      <Refusal error={people.error ?? act.error} />
    </Modal>
  )
}

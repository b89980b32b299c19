/** What a person gets outside of this system to choose password and second factor: shown once. */
import { Modal } from 'antd'

import { useI18n } from '../app/i18n/i18n'
import { HandOn } from '../app/parts'
import type { MadePerson } from './api'

export function HandOver({ made, title, onClose }: { made: MadePerson; title: string; onClose: () => void }) {
  const { t } = useI18n()
  const link = made.activation_url ? new URL(made.activation_url, window.location.origin).href : undefined
  return (
    <Modal
      open
      title={title}
      onCancel={onClose}
      onOk={onClose}
      okText={t('app.done')}
      cancelButtonProps={{ hidden: true }}
      mask={{ closable: false }}
    >
      <p>{link ? t('identities.hand_over_link') : t('identities.hand_over_token')}</p>
      <HandOn
        label={link ? t('identities.activation_link') : t('identities.activation_token')}
        text={link ?? made.activation_token}
      />
      {link ? <p>{t('identities.then_confirmed')}</p> : null}
      <p className="once">{t('app.once')}</p>
    </Modal>
  )
}

/** Stores the secret of an account. It goes in and never comes out again: there is nothing to show. */
import { Form, Input, Modal, Segmented } from 'antd'

import { useAct } from '../app/data'
import { useI18n } from '../app/i18n/i18n'
import { Refusal } from '../app/parts'
import { TARGETS, type Target } from '../targets/api'
import { putCredential, type NewCredential } from './api'

interface Props {
  target: Target
  account: string
  onClose: () => void
  onDone: () => void
}

type Fields = Pick<NewCredential, 'kind' | 'secret'>

export function CredentialDialog({ target, account, onClose, onDone }: Props) {
  const { t } = useI18n()
  const [form] = Form.useForm<Fields>()
  const kind = Form.useWatch('kind', form)
  const act = useAct(putCredential, { rereads: [TARGETS], done: onDone })
  return (
    <Modal
      open
      title={t('vault.credential_of', { account, target: target.name })}
      onCancel={onClose}
      onOk={() => form.submit()}
      okText={t('vault.keep_credential')}
      okButtonProps={{ loading: act.isPending }}
      cancelText={t('app.cancel')}
      mask={{ closable: false }}
    >
      <p>{t('vault.credential_text')}</p>
      <Form<Fields>
        form={form}
        layout="vertical"
        initialValues={{ kind: 'password' }}
        onFinish={(fields) => act.mutate({ id: target.id, account, ...fields })}
      >
        <Form.Item name="kind" label={t('vault.credential_kind')}>
          <Segmented
            options={[
              { value: 'password', label: t('vault.password') },
              { value: 'private_key', label: t('vault.private_key') },
            ]}
          />
        </Form.Item>
        <Form.Item
          name="secret"
          label={kind === 'private_key' ? t('vault.private_key') : t('vault.password')}
          rules={[{ required: true, message: t('vault.secret_needed') }]}
        >
          {kind === 'private_key' ? (
            <Input.TextArea rows={6} className="mono" spellCheck={false} autoComplete="off" maxLength={16384} />
          ) : (
            <Input.Password autoComplete="new-password" maxLength={1024} />
          )}
        </Form.Item>
      </Form>
      <Refusal error={act.error} />
    </Modal>
  )
}

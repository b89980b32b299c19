/**
 * A person of the plant is confirmed by the code that they were shown when they chose password and second factor, and
 * read aloud now: whoever used the activation link in their name has another code.
 */
import { Form, Input, Modal } from 'antd'

import { useAct } from '../app/data'
import { useI18n } from '../app/i18n/i18n'
import { Facts, Refusal } from '../app/parts'
import { PEOPLE, confirmPerson, type Person } from './api'

export function ConfirmDialog({ person, onClose }: { person: Person; onClose: () => void }) {
  const { t, tCode } = useI18n()
  const [form] = Form.useForm<{ code: string }>()
  const act = useAct(confirmPerson, { rereads: [PEOPLE], done: onClose })
  return (
    <Modal
      open
      title={t('identities.confirm_title', { name: person.display_name })}
      okText={t('identities.confirm')}
      okButtonProps={{ loading: act.isPending }}
      cancelText={t('app.cancel')}
      onCancel={onClose}
      onOk={() => form.submit()}
      mask={{ closable: false }}
    >
      <Facts
        rows={[
          [t('identities.username'), person.username],
          [t('identities.role_label'), tCode('identities.role', person.role)],
        ]}
      />
      <ol className="steps">
        <li>{t('identities.confirm_step_call', { name: person.display_name })}</li>
        <li>{t('identities.confirm_step_read')}</li>
        <li>{t('identities.confirm_step_type')}</li>
      </ol>
      <Form form={form} layout="vertical" onFinish={({ code }) => act.mutate({ id: person.id, code: code.trim() })}>
        <Form.Item
          name="code"
          label={t('identities.confirmation_code')}
          rules={[{ required: true, whitespace: true, message: t('identities.confirmation_code_needed') }]}
        >
          <Input className="code" autoComplete="off" autoCapitalize="characters" spellCheck={false} maxLength={40} autoFocus />
        </Form.Item>
      </Form>
      <Refusal error={act.error} />
    </Modal>
  )
}

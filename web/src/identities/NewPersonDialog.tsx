import { Form, Input, Modal, Select } from 'antd'

import { useAct } from '../app/data'
import { useI18n } from '../app/i18n/i18n'
import { Refusal } from '../app/parts'
import { PEOPLE, createPerson, type NewPerson } from './api'
import { HandOver } from './HandOver'

const ROLES = ['vendor_engineer', 'plant_admin', 'auditor', 'security_administrator', 'system_administrator'] as const

export function NewPersonDialog({ onClose }: { onClose: () => void }) {
  const { t, tCode, language } = useI18n()
  const [form] = Form.useForm<NewPerson>()
  const role = Form.useWatch('role', form)
  const act = useAct(createPerson, { rereads: [PEOPLE] })
  const made = act.data

  if (made) {
    return <HandOver made={made} title={t('identities.added', { name: made.person.display_name })} onClose={onClose} />
  }
  return (
    <Modal
      open
      title={t('identities.add')}
      onCancel={onClose}
      onOk={() => form.submit()}
      okText={t('identities.create')}
      okButtonProps={{ loading: act.isPending }}
      cancelText={t('app.cancel')}
      mask={{ closable: false }}
    >
      <Form<NewPerson>
        form={form}
        layout="vertical"
        initialValues={{ role: 'vendor_engineer', language }}
        onFinish={(fields) =>
          act.mutate({
            ...fields,
            username: fields.username.trim(),
            display_name: fields.display_name.trim(),
            company: fields.role === 'vendor_engineer' ? (fields.company?.trim() ?? null) : null,
          })
        }
      >
        <Form.Item name="role" label={t('identities.role_label')} extra={role ? tCode('identities.role_text', role) : null}>
          <Select options={ROLES.map((value) => ({ value, label: tCode('identities.role', value) }))} />
        </Form.Item>
        <Form.Item
          name="display_name"
          label={t('identities.name')}
          rules={[{ required: true, whitespace: true, message: t('identities.name_needed') }]}
        >
          <Input maxLength={120} autoComplete="off" />
        </Form.Item>
        <Form.Item
          name="username"
          label={t('identities.username')}
          rules={[{ required: true, pattern: /^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$/, message: t('identities.username_rule') }]}
        >
          <Input maxLength={64} autoComplete="off" autoCapitalize="none" spellCheck={false} />
        </Form.Item>
        {role === 'vendor_engineer' ? (
          <Form.Item
            name="company"
            label={t('identities.company')}
            rules={[{ required: true, whitespace: true, message: t('identities.company_needed') }]}
          >
            <Input maxLength={120} autoComplete="off" />
          </Form.Item>
        ) : null}
        <Form.Item name="language" label={t('identities.language')}>
          <Select
            options={[
              { value: 'zh-CN', label: t('app.language.zh') },
              { value: 'en', label: t('app.language.en') },
            ]}
          />
        </Form.Item>
      </Form>
      <Refusal error={act.error} />
    </Modal>
  )
}

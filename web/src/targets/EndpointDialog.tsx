import { Form, Modal } from 'antd'

import { useAct } from '../app/data'
import { useI18n } from '../app/i18n/i18n'
import { Refusal } from '../app/parts'
import { TARGETS, changeEndpoint, type Endpoint, type Target } from './api'
import { EndpointFields } from './EndpointFields'

export function EndpointDialog({ target, onClose }: { target: Target; onClose: () => void }) {
  const { t } = useI18n()
  const [form] = Form.useForm<Endpoint>()
  const act = useAct(changeEndpoint, { rereads: [TARGETS], done: onClose })
  return (
    <Modal
      open
      title={t('targets.change_of', { target: target.name })}
      onCancel={onClose}
      onOk={() => form.submit()}
      okText={t('targets.change')}
      okButtonProps={{ danger: true, loading: act.isPending }}
      cancelText={t('app.cancel')}
      mask={{ closable: false }}
    >
      <p>{t('targets.change_text')}</p>
      <Form<Endpoint>
        form={form}
        layout="vertical"
        initialValues={{ address: target.address, port: target.port, host_key: target.host_key }}
        onFinish={(fields) => act.mutate({ id: target.id, ...fields, address: fields.address.trim(), host_key: fields.host_key.trim() })}
      >
        <EndpointFields />
      </Form>
      <Refusal error={act.error} />
    </Modal>
  )
}

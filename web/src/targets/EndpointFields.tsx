/** Address, port and pinned host key, with the key's fingerprint to compare with the machine's own. */
import { Form, Input, InputNumber } from 'antd'
import { useEffect, useState } from 'react'

import { useI18n } from '../app/i18n/i18n'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { FetchKey } from './ConnectionTest'
import { fingerprintOf } from './fingerprint'

export function EndpointFields() {
  const { t } = useI18n()
  const { can } = useSession()
  const needed = (message: string) => [{ required: true, message }]
  return (
    <>
      <div className="pair">
        <Form.Item name="address" label={t('targets.address')} rules={needed(t('targets.address_needed'))}>
          <Input maxLength={45} autoComplete="off" spellCheck={false} />
        </Form.Item>
        <Form.Item name="port" label={t('targets.port')} rules={needed(t('targets.port_needed'))}>
          <InputNumber min={1} max={65535} precision={0} />
        </Form.Item>
      </div>
      {can(may.createTarget) ? <FetchKey /> : null}
      <Form.Item
        name="host_key"
        label={t('targets.host_key')}
        extra={t('targets.host_key_text')}
        rules={[{ required: true, pattern: /^\s*[a-z0-9@.-]+ AAAA\S+/, message: t('targets.host_key_needed') }]}
      >
        <Input.TextArea rows={3} maxLength={4096} className="mono" spellCheck={false} />
      </Form.Item>
      <Fingerprint line={String(Form.useWatch<unknown>('host_key') ?? '')} />
    </>
  )
}

export function Fingerprint({ line }: { line: string }) {
  const { t } = useI18n()
  const [found, setFound] = useState<string>()
  useEffect(() => {
    let current = true
    void fingerprintOf(line).then((value) => {
      if (current) setFound(value)
    })
    return () => {
      current = false
    }
  }, [line])
  return found ? (
    <p className="fingerprint">
      {t('targets.fingerprint')} <code>{found}</code>
    </p>
  ) : null
}

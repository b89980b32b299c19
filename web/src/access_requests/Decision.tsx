/** Approve or deny. The button says what is granted; the page changes only when the server has answered. */
import { Button, Form, Input, Radio } from 'antd'
import { useState } from 'react'

import { useAct } from '../app/data'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Refusal } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { REQUESTS, approve, deny, type AccessRequest } from './api'

const SHORTER_SECONDS = [1800, 3600, 7200, 14400, 28800]
const QUICK = ['work_order', 'not_now', 'unclear', 'unknown_person'] as const

export function Decision({ request }: { request: AccessRequest }) {
  const { t } = useI18n()
  const format = useFormat()
  const { session, can } = useSession()
  const asked = request.duration_seconds
  const [seconds, setSeconds] = useState(asked)
  const [denying, setDenying] = useState(false)
  const rereads = [REQUESTS, 'grants']
  const yes = useAct(approve, { rereads })
  const no = useAct(deny, { rereads })
  const mine = request.approvals.some((approval) => approval.person.id === session?.person.id)
  if (mine) return <p className="muted">{t('access_requests.yours_counted')}</p>

  const shorter = SHORTER_SECONDS.filter((option) => option < asked)
  return (
    <section className="decision" aria-label={t('access_requests.decision')}>
      {shorter.length > 0 && !denying && can(may.approveRequest) ? (
        <fieldset>
          <legend>{t('access_requests.duration')}</legend>
          <Radio.Group
            optionType="button"
            buttonStyle="solid"
            value={seconds}
            onChange={(event) => setSeconds(event.target.value as number)}
            options={[...shorter, asked].map((value) => ({
              value,
              label: value === asked ? t('access_requests.as_asked', { duration: format.duration(value) }) : format.duration(value),
            }))}
          />
        </fieldset>
      ) : null}
      <Refusal error={yes.error ?? no.error} />
      {denying ? (
        <DenyForm
          busy={no.isPending}
          onCancel={() => setDenying(false)}
          onDeny={(reason) => no.mutate({ id: request.id, reason })}
        />
      ) : (
        <div className="decision-buttons">
          {can(may.denyRequest) ? (
            <Button size="large" danger disabled={yes.isPending} onClick={() => setDenying(true)}>
              {t('access_requests.deny_open')}
            </Button>
          ) : null}
          {can(may.approveRequest) ? (
            <Button
              size="large"
              type="primary"
              loading={yes.isPending}
              onClick={() => yes.mutate({ id: request.id, duration_seconds: seconds === asked ? null : seconds })}
            >
              {t('access_requests.approve', { duration: format.duration(seconds) })}
            </Button>
          ) : null}
        </div>
      )}
    </section>
  )
}

interface DenyProps {
  busy: boolean
  onCancel: () => void
  onDeny: (reason: string) => void
}

function DenyForm({ busy, onCancel, onDeny }: DenyProps) {
  const { t, tCode } = useI18n()
  const [form] = Form.useForm<{ reason: string }>()
  return (
    <Form form={form} layout="vertical" onFinish={({ reason }) => onDeny(reason.trim())}>
      <div className="row quick">
        {QUICK.map((code) => (
          <Button key={code} size="small" onClick={() => form.setFieldValue('reason', tCode('access_requests.quick', code))}>
            {tCode('access_requests.quick', code)}
          </Button>
        ))}
      </div>
      <Form.Item
        name="reason"
        label={t('access_requests.deny_reason')}
        extra={t('access_requests.deny_reason_text')}
        rules={[{ required: true, whitespace: true, message: t('app.reason_needed') }]}
      >
        <Input.TextArea rows={2} maxLength={500} autoFocus />
      </Form.Item>
      <div className="decision-buttons">
        <Button size="large" onClick={onCancel} disabled={busy}>
          {t('app.back')}
        </Button>
        <Button size="large" type="primary" danger htmlType="submit" loading={busy}>
          {t('access_requests.deny')}
        </Button>
      </div>
    </Form>
  )
}

/** Across every page: the trail cannot be written, so no session begins until somebody has made room. */
import { useQuery } from '@tanstack/react-query'
import { Alert } from 'antd'

import { useI18n } from '../app/i18n/i18n'

const EVERY_MS = 5000

async function canTellTheTrail(): Promise<boolean> {
  const answer = await fetch('/readyz?quiet=true', { headers: { Accept: 'application/json' } })
  const said = (await answer.json()) as { parts?: { audit?: boolean } }
  return said.parts?.audit !== false
}

export function TrailAlarm() {
  const { t } = useI18n()
  const asked = useQuery({ queryKey: ['readyz'], queryFn: canTellTheTrail, refetchInterval: EVERY_MS, retry: false })
  if (asked.data !== false) return null
  return <Alert type="error" banner showIcon title={t('audit.not_writable')} description={t('audit.not_writable_text')} />
}

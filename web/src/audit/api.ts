import { useQuery } from '@tanstack/react-query'

import { api, ask, type Item } from '../app/api'
import { useList } from '../app/data'

export type AuditEvent = Item<'/api/v1/audit/events'>

export const useAuditEvents = (code: string, subject: string | undefined) =>
  useList<AuditEvent>(['audit', code, subject ?? ''], (cursor) => {
    const query = { limit: 100, ...(cursor ? { cursor: Number(cursor) } : {}), ...(code ? { code } : {}), ...(subject ? { subject } : {}) }
    return ask(api.GET('/api/v1/audit/events', { params: { query } }))
  })

export const useChain = () =>
  useQuery({ queryKey: ['audit', 'state'], queryFn: () => ask(api.GET('/api/v1/audit/state')) })

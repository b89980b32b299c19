import { useQuery } from '@tanstack/react-query'

import { api, ask, type Item } from '../app/api'
import { useList } from '../app/data'

export type AuditEvent = Item<'/api/v1/audit/events'>

export const useAuditEvents = (code: string) =>
  useList<AuditEvent>(['audit', code], (cursor) => {
    const query = { limit: 100, ...(cursor ? { cursor: Number(cursor) } : {}), ...(code ? { code } : {}) }
    return ask(api.GET('/api/v1/audit/events', { params: { query } }))
  })

export const useChain = (enabled: boolean) =>
  useQuery({ queryKey: ['audit', 'state'], queryFn: () => ask(api.GET('/api/v1/audit/state')), enabled })

import { useQuery } from '@tanstack/react-query'

import { api, ask, pageQuery, type Item } from '../app/api'
import { useList } from '../app/data'

export type AccessRequest = Item<'/api/v1/access-requests'>

export const REQUESTS = 'access-requests'
const REFRESH_SECONDS = 10

export const useRequests = (state: 'submitted' | undefined) =>
  useList<AccessRequest>(
    [REQUESTS, state ?? 'all'],
    (cursor) =>
      ask(api.GET('/api/v1/access-requests', { params: { query: { ...pageQuery(cursor), ...(state ? { state } : {}) } } })),
    { refreshSeconds: REFRESH_SECONDS },
  )

export const useRequest = (id: string | undefined) =>
  useQuery({
    queryKey: [REQUESTS, 'one', id],
    queryFn: () =>
      ask(api.GET('/api/v1/access-requests/{request_id}', { params: { path: { request_id: id ?? '' } } })),
    enabled: id !== undefined,
    refetchInterval: REFRESH_SECONDS * 1000,
  })

const path = (id: string) => ({ params: { path: { request_id: id } } })

export const approve = ({ id, duration_seconds }: { id: string; duration_seconds: number | null }) =>
  ask(api.POST('/api/v1/access-requests/{request_id}/approve', { ...path(id), body: { duration_seconds } }))

export const deny = ({ id, reason }: { id: string; reason: string }) =>
  ask(api.POST('/api/v1/access-requests/{request_id}/deny', { ...path(id), body: { reason } }))

import { api, ask, pageQuery, type Item } from '../app/api'
import { useList } from '../app/data'

export type Grant = Item<'/api/v1/grants'>

export const GRANTS = 'grants'

export const useGrants = () =>
  useList<Grant>([GRANTS], (cursor) => ask(api.GET('/api/v1/grants', { params: { query: pageQuery(cursor) } })), {
    refreshSeconds: 15,
  })

export const revokeGrant = ({ id, reason }: { id: string; reason: string }) =>
  ask(api.POST('/api/v1/grants/{grant_id}/revoke', { params: { path: { grant_id: id } }, body: { reason } }))

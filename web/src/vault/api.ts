import { api, ask, type Body } from '../app/api'

export type NewCredential = Body<'/api/v1/targets/{target_id}/credentials'>

export const putCredential = ({ id, ...body }: NewCredential & { id: string }) =>
  ask(api.POST('/api/v1/targets/{target_id}/credentials', { params: { path: { target_id: id } }, body }))
